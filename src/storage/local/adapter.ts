import type { StorageAdapter } from "../definition.ts";
import { localOptions } from "./options.ts";
import { localAddress, openLocalStorage } from "./storage.ts";

export const localAdapter: StorageAdapter<typeof localOptions> = {
  options: localOptions,
  address: (options) => localAddress(options.path),
  open: (options, context) => openLocalStorage(options, context),
};
