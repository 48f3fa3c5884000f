import type { StorageAdapter } from "../definition.ts";
import { type AzureOptions, azureOptions, azureProblems, azureRoleProblems } from "./options.ts";
import { azureAddress } from "./place.ts";

export const azureAdapter: StorageAdapter<typeof azureOptions> = {
  options: azureOptions,
  check: (options, { role }) => [...azureProblems(options), ...azureRoleProblems(options, role)],
  address: async (options: AzureOptions) => azureAddress(options),
  // The SDK is loaded when a storage is opened, not when its options are looked at.
  open: async (options, context) => (await import("./storage.ts")).openAzureStorage(options, context),
};
