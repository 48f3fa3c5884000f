import type { StorageAdapter } from "../definition.ts";
import { ftpOptions } from "./options.ts";
import { ftpAddress, ftpProblems } from "./place.ts";

export const ftpAdapter: StorageAdapter<typeof ftpOptions> = {
  options: ftpOptions,
  check: ftpProblems,
  address: async (options) => ftpAddress(options),
  // The library is loaded when a storage is opened, not when its options are looked at.
  open: async (options, context) => (await import("./storage.ts")).openFtpStorage(options, context),
};
