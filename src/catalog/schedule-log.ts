import type { RunStatus } from "../domain/schedule/past-run.ts";

/** What this host knows of its schedules' runs: nowhere else, and gone with the catalog. */
export interface ScheduleLog {
  /** When the schedule was first seen with these times; ISO. */
  since(schedule: string, times: string): string | undefined;
  setSince(schedule: string, times: string, at: string): void;
  /** Inserts the run, or replaces what was known of it. */
  record(run: ScheduleRun): void;
  /** The latest begun first, by the order in which they were recorded. @param until ISO: none that began later, by the clock of then */
  runs(schedule: string, limit: number, until?: string): readonly ScheduleRun[];
  counts(schedule: string): ScheduleCounts;
}

export interface ScheduleRun {
  readonly id: string;
  readonly schedule: string;
  /** ISO, all three. */
  readonly scheduledFor: string;
  readonly startedAt: string;
  readonly endedAt: string | undefined;
  readonly status: RunStatus;
  /** What it did, or why it did not, in one line. */
  readonly summary: string | undefined;
}

/** Of runs that ended. */
export interface ScheduleCounts {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
}
