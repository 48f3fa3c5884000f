import type { JobDefinition } from "./job.ts";

/** Everything that a schedule's `operation` may name. */
export const jobDefinitions: Readonly<Record<string, JobDefinition>> = {
  create: async () => (await import("./create.ts")).createJob,
  verify: async () => (await import("./verify.ts")).verifyJob,
  cleanup: async () => (await import("./cleanup.ts")).cleanupJob,
  replicate: async () => (await import("./replicate.ts")).replicateJob,
};
