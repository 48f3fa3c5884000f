export const RUN_STATUSES = ["running", "completed", "partial", "failed", "interrupted"] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

/** One run of a schedule, as this host's catalog has it. */
export interface PastRun {
  /** The time that it was due; with all others before it that had been missed it is done. */
  readonly scheduledFor: Date;
  readonly startedAt: Date;
  readonly status: RunStatus;
}

/** More missed runs are not counted. */
export const MOST_MISSED = 1000;
