import { addDuration, type Duration } from "./duration.ts";
import type { KnownBackup } from "./known-backup.ts";

/** A schedule's run, which begins whenever its timer, the load or another run lets it. */
export interface DueRun {
  /** The time that it is for. */
  readonly at: Date;
  /** The schedule's next one. */
  readonly next: Date;
  /** For which time this schedule made a backup; `undefined` where it was not this one. */
  readonly dueTimeOf: (backup: KnownBackup) => Date | undefined;
}

/** What a clock change moves a schedule's time by is less. */
const CLOCK_CHANGE_MS = 2 * 3_600_000;
/** Of a run that is for no time, and of what calls it: an operator's own timer. */
const MOST_LATE_MS = 10 * 60_000;

/**
 * Whether `full_every` is over, so that a full backup is to be made. Of a schedule that made the last full one itself the times are compared
 * that both are for, never those at which they began: the run whose time is nearest to the end makes it. Another's full counts from when it
 * began. A run by hand may come earlier by a tenth, 10 minutes at most.
 */
export function isFullDue(full: KnownBackup, every: Duration, now: Date, run?: DueRun): boolean {
  const began = new Date(full.timestamp);
  const madeFor = run?.dueTimeOf(full);
  const end = addDuration(madeFor ?? began, every)?.getTime();
  if (end === undefined) return false;
  if (run === undefined) return end - Math.min(MOST_LATE_MS, (end - began.getTime()) / 10) <= now.getTime();
  const early = end - run.at.getTime();
  if (early <= 0) return true;
  return madeFor !== undefined && early < CLOCK_CHANGE_MS && early < run.next.getTime() - end;
}
