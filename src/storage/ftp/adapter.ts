import type { StorageAdapter } from "../definition.ts";
import { ftpOptions } from "./options.ts";
import { ftpAddress, openFtpStorage, optionProblems } from "./storage.ts";

export const ftpAdapter: StorageAdapter<typeof ftpOptions> = {
  options: ftpOptions,
  check: optionProblems,
  address: async (options) => ftpAddress(options),
  open: (options, context) => openFtpStorage(options, context),
};
