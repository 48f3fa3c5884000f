import { latestRun, nextRun, type Timing } from "./times.ts";

/** Clocks are set, and hosts sleep: nobody waits for longer without a look. */
const LONGEST_WAIT_MS = 60_000;

/** Whether a schedule that was last asked for at `asked` may be due: a time of it has come since, or the clock was set back. */
export function isToBeAsked(timing: Timing, asked: Date | undefined, now: Date): boolean {
  return asked === undefined || now < asked || latestRun(timing, now) > asked;
}

/** How long until one of them may be due. */
export function waitMs(timings: readonly Timing[], now: Date): number {
  const waits = timings.map((timing) => nextRun(timing, now).getTime() - now.getTime());
  return Math.min(LONGEST_WAIT_MS, ...waits);
}
