import type { StorageAdapter } from "../definition.ts";
import { s3Address } from "./address.ts";
import { s3Options, s3Problems, s3RoleProblems } from "./options.ts";

export const s3Adapter: StorageAdapter<typeof s3Options> = {
  options: s3Options,
  check: (options, { role }) => [...s3Problems(options), ...s3RoleProblems(options, role)],
  address: async (options) => s3Address(options),
  // The SDK takes 50 ms to load, which checking a configuration need not pay.
  open: async (options, context) => (await import("./storage.ts")).openS3Storage(options, context),
};
