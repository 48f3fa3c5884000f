import type { StorageAdapter } from "../definition.ts";
import { localOptions } from "./options.ts";
import { localFolder, openLocalStorage } from "./storage.ts";

export const localAdapter: StorageAdapter<typeof localOptions> = {
  options: localOptions,
  address: async (options) => `local:${await localFolder(options.path)}`,
  folder: (options) => localFolder(options.path),
  open: (options, context) => openLocalStorage(options, context),
};
