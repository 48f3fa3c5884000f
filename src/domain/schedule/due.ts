import { CLOCK_TOLERANCE_MS } from "../timestamp.ts";
import { MOST_MISSED, type PastRun } from "./past-run.ts";
import { latestRun, runsBetween, type Timing } from "./times.ts";

export interface History {
  readonly timing: Timing;
  /** No time before it counts: the schedule was not known then, or had other times. */
  readonly since: Date;
  /** The latest begun first, whatever the clock said then; the last one, and the last two that are of no time to come, are enough. */
  readonly runs: readonly PastRun[];
  readonly now: Date;
}

/** A run may begin so much later than it was due, for a random delay or a machine that starts, before it counts as missed. */
const LATE_MS = 15 * 60_000;
const DAY_MS = 86_400_000;

/**
 * The time for which a run is due now; `undefined`: none is. However many times were missed, one run makes up for them. What was cut off
 * is due again, once. After the clock was set back by more than clocks may differ, runs of a time that is still to come count for nothing:
 * what ran before them does.
 */
export function dueTime({ timing, since, runs, now }: History): Date | undefined {
  const latest = latestRun(timing, now);
  return latest > lowerBound({ since, runs, now }) ? latest : undefined;
}

export interface Missed {
  /** At most `MOST_MISSED`. */
  readonly count: number;
  readonly first: Date;
  readonly last: Date;
}

/** What should have run by now and has not, nor has a run made up for it since. */
export function missedRuns({ timing, since, runs, now }: History): Missed | undefined {
  if (runs[0]?.status === "running") return undefined;
  const until = new Date(now.getTime() - LATE_MS);
  const times = runsBetween(timing, lowerBound({ since, runs, now }), until, MOST_MISSED);
  const [first] = times;
  return first === undefined
    ? undefined
    : { count: times.length, first, last: new Date(Math.max(...times.map((at) => at.getTime()))) };
}

/** Up to and with this time nothing is left to do. */
function lowerBound({ since, runs, now }: Pick<History, "since" | "runs" | "now">): Date {
  const isToCome = (at: Date): boolean => at.getTime() > now.getTime() + CLOCK_TOLERANCE_MS;
  const yesterday = new Date(now.getTime() - DAY_MS);
  const begin = isToCome(since) ? yesterday : since;
  const [newest, before] = runs.filter(({ startedAt }) => !isToCome(startedAt));
  // What ran by the wrong clock nobody can tell.
  const told = newest === runs[0] ? begin : later(begin, yesterday);
  if (newest === undefined) return told;
  const isSecondTry = before?.scheduledFor.getTime() === newest.scheduledFor.getTime();
  const isLeft = newest.status === "interrupted" && !isSecondTry;
  return later(told, isLeft ? new Date(newest.scheduledFor.getTime() - 1) : newest.scheduledFor);
}

function later(one: Date, other: Date): Date {
  return one > other ? one : other;
}
