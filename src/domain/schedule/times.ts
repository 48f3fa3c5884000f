import { occurrencesOf, offsetMs, wallClockAt } from "../zone.ts";
import { type CronFields, parseCron } from "./cron.ts";

/** When a schedule runs. */
export interface Timing {
  /** Five fields, or a nickname such as @daily. */
  readonly cron: string;
  /** IANA zone of the clock that the expression means. */
  readonly timezone: string;
}

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/**
 * The first time after an instant. Where clocks are put forward, what they skip is due at the change, as Debian's cron has it, all of it at
 * once; where they are put back, a time with a fixed hour comes once, and one of every hour in both of them.
 */
export function nextRun(timing: Timing, after: Date): Date {
  const { walls, instantsOf } = clockOf(timing, after);
  let best = Number.POSITIVE_INFINITY;
  for (const wall of walls("later")) {
    const instants = instantsOf(wall);
    if (Math.min(...instants) >= best) break;
    best = Math.min(best, ...instants.filter((instant) => instant > after.getTime()));
  }
  return new Date(best);
}

/** The last time before or at an instant. */
export function latestRun(timing: Timing, at: Date): Date {
  const { walls, instantsOf } = clockOf(timing, at);
  let best = Number.NEGATIVE_INFINITY;
  for (const wall of walls("earlier")) {
    const instants = instantsOf(wall);
    if (Math.max(...instants) <= best) break;
    best = Math.max(best, ...instants.filter((instant) => instant <= at.getTime()));
  }
  return new Date(best);
}

/** The times after `from`, up to and with `to`, at most `limit` of them. */
export function runsBetween(timing: Timing, from: Date, to: Date, limit: number): readonly Date[] {
  const found: Date[] = [];
  for (let at = nextRun(timing, from); at <= to && found.length < limit; at = nextRun(timing, at)) found.push(at);
  return found;
}

/** The expression's times as a clock on the wall shows them, in order, around an instant; and when it shows one. */
function clockOf({ cron, timezone }: Timing, at: Date) {
  const fields = parseCron(cron);
  const everyHour = fields.hours.length === 24;
  const shown = at.getTime() + offsetMs(at, timezone);
  // What a clock that is put back shows again lies on both sides of what it shows now.
  const before = offsetMs(new Date(at.getTime() - DAY_MS), timezone);
  const after = offsetMs(new Date(at.getTime() + DAY_MS), timezone);
  const repeatedMs = Math.max(0, before - after);
  return {
    walls: (direction: Direction) =>
      wallTimes(fields, direction === "later" ? shown - repeatedMs : shown + repeatedMs, direction),
    instantsOf: (wallMs: number): readonly number[] => {
      const { first, last } = occurrencesOf(wallClockAt(new Date(wallMs), "UTC"), timezone);
      return everyHour ? [first.getTime(), last.getTime()] : [first.getTime()];
    },
  };
}

type Direction = "later" | "earlier";

/** What a clock shows is read as UTC, in milliseconds: all that fits from there on, without end. */
function* wallTimes(fields: CronFields, from: number, direction: Direction): Generator<number, never> {
  const times = fields.hours.flatMap((hour) => fields.minutes.map((minute) => (hour * 60 + minute) * MINUTE_MS));
  const sign = direction === "later" ? 1 : -1;
  if (direction === "earlier") times.reverse();
  for (let day = Math.floor(from / DAY_MS) * DAY_MS; ; day += sign * DAY_MS) {
    if (!isOnDay(fields, new Date(day))) continue;
    for (const time of times) if ((day + time - from) * sign >= 0) yield day + time;
  }
}

function isOnDay({ months, days, weekdays }: CronFields, day: Date): boolean {
  if (!months.includes(day.getUTCMonth() + 1)) return false;
  if (days === undefined && weekdays === undefined) return true;
  return days?.includes(day.getUTCDate()) === true || weekdays?.includes(day.getUTCDay()) === true;
}
