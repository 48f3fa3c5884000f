/** Wall-clock arithmetic in named time zones (IANA), right across daylight-saving changes. */
export interface WallClock {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

const DAY_MS = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** What a clock on the wall in `timezone` shows at that instant. */
export function wallClockAt(at: Date, timezone: string): WallClock {
  // The first format takes as long to make as a list to show.
  if (timezone === "UTC") return utcClockAt(at);
  const parts = new Map(
    formatOf(timezone)
      .formatToParts(at)
      .map((part) => [part.type, Number(part.value)]),
  );
  const read = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  return {
    year: read("year"),
    month: read("month"),
    day: read("day"),
    hour: read("hour"),
    minute: read("minute"),
    second: read("second"),
  };
}

function utcClockAt(at: Date): WallClock {
  return {
    year: at.getUTCFullYear(),
    month: at.getUTCMonth() + 1,
    day: at.getUTCDate(),
    hour: at.getUTCHours(),
    minute: at.getUTCMinutes(),
    second: at.getUTCSeconds(),
  };
}

/**
 * The first instant at which a clock in `timezone` shows that time. A time that daylight saving skips becomes the instant of
 * the change plus the skipped part, as clocks do.
 */
export function instantOf(wall: WallClock, timezone: string): Date {
  const asUtc = utcOf(wall);
  // No zone changes its offset twice within two days, so one of these two offsets holds.
  const before = offsetMs(new Date(asUtc - DAY_MS), timezone);
  const after = offsetMs(new Date(asUtc + DAY_MS), timezone);
  const candidates = [asUtc - before, asUtc - after].sort((left, right) => left - right);
  const shown = candidates.find((candidate) => utcOf(wallClockAt(new Date(candidate), timezone)) === asUtc);
  return new Date(shown ?? asUtc - before);
}

interface Occurrences {
  readonly first: Date;
  readonly last: Date;
}

/**
 * When a clock in `timezone` shows that time: twice where daylight saving repeats it, and at the instant of the change, once, where
 * it skips it. Later times never come before earlier ones.
 */
export function occurrencesOf(wall: WallClock, timezone: string): Occurrences {
  const asUtc = utcOf(wall);
  const before = offsetMs(new Date(asUtc - DAY_MS), timezone);
  const after = offsetMs(new Date(asUtc + DAY_MS), timezone);
  if (after <= before || isShown(asUtc - before) || isShown(asUtc - after)) {
    const shown = [asUtc - before, asUtc - after].filter(isShown);
    return { first: new Date(Math.min(...shown)), last: new Date(Math.max(...shown)) };
  }
  let [tooEarly, change] = [asUtc - after, asUtc - before];
  while (change - tooEarly > 1) {
    const middle = Math.floor((tooEarly + change) / 2);
    if (offsetMs(new Date(middle), timezone) === after) change = middle;
    else tooEarly = middle;
  }
  return { first: new Date(change), last: new Date(change) };

  function isShown(instant: number): boolean {
    return utcOf(wallClockAt(new Date(instant), timezone)) === asUtc;
  }
}

/** How far clocks in `timezone` are ahead of UTC at that instant. */
export function offsetMs(at: Date, timezone: string): number {
  return utcOf(wallClockAt(at, timezone)) - Math.floor(at.getTime() / 1000) * 1000;
}

/** Midnight, or the first instant of a day that has no midnight. `plusDays` counts calendar days. */
export function startOfDay(at: Date, timezone: string, plusDays = 0): Date {
  const { year, month, day } = wallClockAt(at, timezone);
  const moved = new Date(Date.UTC(year, month - 1, day + plusDays));
  return instantOf(
    {
      year: moved.getUTCFullYear(),
      month: moved.getUTCMonth() + 1,
      day: moved.getUTCDate(),
      hour: 0,
      minute: 0,
      second: 0,
    },
    timezone,
  );
}

function utcOf(wall: WallClock): number {
  return Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute, wall.second);
}

function formatOf(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone);
  if (known !== undefined) return known;
  // A fixed calendar and digits: the host's locale must not decide to which day a backup belongs.
  const made = new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
    timeZone: timezone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  formats.set(timezone, made);
  return made;
}
