import type { OnProgress, Operations, ScheduledRun } from "../operations/operations.ts";

/**
 * The port of what a schedule can run: one use case of `Operations`, with options of its own in the config. The scheduler knows none of
 * them; a new one is a file here and a line in the registry.
 */
export interface Job {
  /** A zod object: what a schedule of it may say beside its name and times. */
  readonly options: unknown;
  /** @param given options that satisfy `options`. @throws what its use case throws: it failed then. */
  run(operations: Operations, given: JobRequest): Promise<JobOutcome>;
}

export interface JobRequest {
  readonly run: ScheduledRun;
  readonly options: Readonly<Record<string, unknown>>;
  /** How long another run may be waited for: until this schedule is due again. */
  readonly lockWaitMs: number;
  readonly onProgress?: OnProgress | undefined;
}

export interface JobOutcome {
  /** That of the command that does the same by hand: 0 it is done, 3 a part of it, else it failed. */
  readonly exitCode: number;
  /** For people, in one line: what was done. */
  readonly summary: string;
  /** What went wrong, a line each. */
  readonly problems: readonly string[];
  /** For programs: what was done, by the names of docs/notify/README.md. */
  readonly facts: Readonly<Record<string, string | number>>;
}

/** Loaded when a schedule of it is checked or run. */
export type JobDefinition = () => Promise<Job>;
