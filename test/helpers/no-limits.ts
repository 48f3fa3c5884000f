import type { StorageLimits } from "../../src/domain/storage-limits.ts";

/** Nothing is tried again, nothing cut, nothing limited. */
export const NO_LIMITS: StorageLimits = {
  retryForMs: 0,
  stallTimeoutMs: undefined,
  concurrency: undefined,
  uploadBytesPerSecond: undefined,
  downloadBytesPerSecond: undefined,
  quotaBytes: undefined,
};
