import { addDuration } from "../duration.ts";
import { type Period, periodOf } from "../period.ts";
import type { KeepRules } from "./policy.ts";

const PERIODS: readonly Period[] = ["hourly", "daily", "weekly", "monthly", "yearly"];

/** The name of a rule as the configuration has it, e.g. `keep_daily`. */
export type RuleName = "keep_last" | "keep_within" | `keep_${Period}`;

/**
 * Which of these backups, the newest first, each rule keeps, by their places. Periods without any backup do not count: after a gap
 * the same number of days stay as before it. Of a period the newest stays.
 */
export function keptByRules(
  times: readonly Date[],
  rules: KeepRules,
  timezone: string,
): ReadonlyMap<RuleName, readonly number[]> {
  const places = times.map((_, place) => place);
  const kept = new Map<RuleName, readonly number[]>();
  if (rules.last !== undefined) kept.set("keep_last", places.slice(0, rules.last));
  for (const period of PERIODS) {
    const most = rules.periods[period];
    if (most !== undefined) kept.set(`keep_${period}`, newestOfEach(times, period, timezone).slice(0, most));
  }
  const [newest] = times;
  const since = rules.within === undefined || newest === undefined ? undefined : addDuration(newest, rules.within, -1);
  if (since !== undefined)
    kept.set(
      "keep_within",
      places.filter((place) => isSince(times[place], since)),
    );
  return kept;
}

function newestOfEach(times: readonly Date[], period: Period, timezone: string): readonly number[] {
  const seen = new Set<string>();
  return times.flatMap((at, place) => {
    const name = periodOf(at, period, timezone);
    if (seen.has(name)) return [];
    seen.add(name);
    return [place];
  });
}

function isSince(at: Date | undefined, since: Date): boolean {
  return at !== undefined && at.getTime() >= since.getTime();
}
