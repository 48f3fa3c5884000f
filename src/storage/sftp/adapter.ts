import type { StorageAdapter } from "../definition.ts";
import { sftpOptions } from "./options.ts";
import { sftpAddress } from "./place.ts";

export const sftpAdapter: StorageAdapter<typeof sftpOptions> = {
  options: sftpOptions,
  address: async (options) => sftpAddress(options),
  // The library is loaded when a storage is opened, not when its options are looked at.
  open: async (options, context) => (await import("./storage.ts")).openSftpStorage(options, context),
};
