import type { StorageAdapter } from "../definition.ts";
import { sftpOptions } from "./options.ts";
import { openSftpStorage, sftpAddress } from "./storage.ts";

export const sftpAdapter: StorageAdapter<typeof sftpOptions> = {
  options: sftpOptions,
  address: async (options) => sftpAddress(options),
  open: (options, context) => openSftpStorage(options, context),
};
