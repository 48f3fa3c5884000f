import { offsetMs } from "../zone.ts";
import type { CronFields } from "./cron.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Laws about clocks change; who installs schedules again is right again. */
const YEARS_AHEAD = 3;

/** An instant at which the clocks of a zone are put forward or back: how far they are ahead of UTC before it, and from it on. */
export interface ClockChange {
  readonly at: Date;
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** The changes of the next years. */
export function clockChanges(timezone: string, now: Date): readonly ClockChange[] {
  const changes: ClockChange[] = [];
  for (let day = 0; day < YEARS_AHEAD * 366; day += 1) {
    const begin = now.getTime() + day * DAY_MS;
    const beforeMs = offsetMs(new Date(begin), timezone);
    const afterMs = offsetMs(new Date(begin + DAY_MS), timezone);
    if (beforeMs === afterMs) continue;
    changes.push({ at: changeWithin(begin, begin + DAY_MS, timezone), beforeMs, afterMs });
  }
  return changes;
}

function changeWithin(begin: number, end: number, timezone: string): Date {
  let [before, after] = [begin, end];
  const old = offsetMs(new Date(before), timezone);
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (offsetMs(new Date(middle), timezone) === old) before = middle;
    else after = middle;
  }
  return new Date(after);
}

/** True where a change skips a time of these fields, which is due at the change then. */
export function skips(fields: CronFields, { at, beforeMs, afterMs }: ClockChange): boolean {
  return wallTimes(fields, at.getTime() + beforeMs, at.getTime() + afterMs).length > 0;
}

/** When a change has clocks show times of these fields for the second time, where they are of every hour. */
export function repeats(fields: CronFields, { at, beforeMs, afterMs }: ClockChange): readonly Date[] {
  if (fields.hours.length < 24) return [];
  return wallTimes(fields, at.getTime() + afterMs, at.getTime() + beforeMs).map((wall) => new Date(wall - afterMs));
}

/** What a clock shows is read as UTC. */
function wallTimes({ minutes, hours }: CronFields, from: number, to: number): readonly number[] {
  const length = Math.max(0, to - from) / MINUTE_MS;
  const all = Array.from({ length }, (_, minute) => from + minute * MINUTE_MS);
  return all.filter((wall) => {
    const shown = new Date(wall);
    return hours.includes(shown.getUTCHours()) && minutes.includes(shown.getUTCMinutes());
  });
}
