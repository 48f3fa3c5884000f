import type { StorageAdapter } from "../definition.ts";
import { type GcsOptions, gcsOptions, gcsProblems } from "./options.ts";
import { gcsAddress } from "./place.ts";

export const gcsAdapter: StorageAdapter<typeof gcsOptions> = {
  options: gcsOptions,
  check: gcsProblems,
  address: async (options: GcsOptions) => gcsAddress(options),
  // Google's packages are loaded when a storage is opened, not when its options are looked at.
  open: async (options, context) => (await import("./storage.ts")).openGcsStorage(options, context),
};
