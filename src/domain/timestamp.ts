import { BackupctlError } from "../errors.ts";
import { count } from "./count.ts";
import { addDuration, type Duration, parseDuration } from "./duration.ts";
import { instantOf, startOfDay, wallClockAt } from "./zone.ts";

/** Clocks of two machines that are right may differ by this much. */
export const CLOCK_TOLERANCE_MS = 5 * 60 * 1000;

const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$/;

interface ParsedTime {
  /** The digits read as if they were UTC. */
  readonly asUtc: Date;
  readonly hasTime: boolean;
  readonly offsetMinutes: number | undefined;
}

/**
 * An ISO 8601 time with its zone, e.g. `2026-01-11T10:30:00Z` or `2026-01-11 10:30+02:00`.
 * A zone is demanded: a restore an hour off is the wrong restore.
 * @throws `USAGE`
 */
export function parseInstant(text: string, option = "--timestamp"): Date {
  const parsed = readDateTime(text);
  if (parsed === undefined || !parsed.hasTime) {
    throw new BackupctlError("USAGE", `${option} "${text}" is not a point in time`, {
      hint: 'Write it as ISO 8601 with a time zone, e.g. "2026-01-11T10:30:00Z" or "2026-01-11T10:30:00+02:00".',
    });
  }
  if (parsed.offsetMinutes === undefined) {
    throw new BackupctlError("USAGE", `${option} "${text}" has no time zone`, {
      hint: `Add one: "${text.trim()}Z" for UTC, or an offset such as "${text.trim()}+02:00".`,
    });
  }
  return new Date(parsed.asUtc.getTime() - parsed.offsetMinutes * 60_000);
}

interface TimeRange {
  /** ISO, inclusive. */
  readonly from?: string;
  /** ISO, exclusive. */
  readonly to?: string;
}

/**
 * The range that `--from` and `--to` mean. Each is an ISO time (without a zone: in `timezone`), a date (`--to` includes that
 * whole day), or an age such as `24h` or `7d`.
 * @throws `USAGE`, also when `--from` is not before `--to`.
 */
export function parseTimeRange(
  range: { readonly from?: string | undefined; readonly to?: string | undefined },
  context: { readonly timezone: string; readonly now: Date },
): TimeRange {
  const from = range.from === undefined ? undefined : parseEdge(range.from, "from", context);
  const to = range.to === undefined ? undefined : parseEdge(range.to, "to", context);
  if (from !== undefined && to !== undefined && from.getTime() >= to.getTime()) {
    throw new BackupctlError("USAGE", `--from "${range.from}" is not before --to "${range.to}"`, {
      hint: "Give the earlier time as --from and the later one as --to.",
    });
  }
  return {
    ...(from === undefined ? {} : { from: from.toISOString() }),
    ...(to === undefined ? {} : { to: to.toISOString() }),
  };
}

function parseEdge(
  text: string,
  edge: "from" | "to",
  context: { readonly timezone: string; readonly now: Date },
): Date {
  const parsed = readDateTime(text);
  if (parsed === undefined) return ageBefore(text, edge, context.now);
  if (parsed.offsetMinutes !== undefined) return new Date(parsed.asUtc.getTime() - parsed.offsetMinutes * 60_000);
  const local = instantOf(wallClockAt(parsed.asUtc, "UTC"), context.timezone);
  if (parsed.hasTime) return local;
  return edge === "from" ? local : startOfDay(local, context.timezone, 1);
}

function ageBefore(text: string, edge: "from" | "to", now: Date): Date {
  const then = addDuration(now, readAge(text, edge), -1);
  if (then === undefined) throw badEdge(text, edge);
  return then;
}

function readAge(text: string, edge: "from" | "to"): Duration {
  try {
    return parseDuration(text);
  } catch (error) {
    throw badEdge(text, edge, error);
  }
}

function badEdge(text: string, edge: "from" | "to", cause?: unknown): BackupctlError {
  return new BackupctlError("USAGE", `--${edge} "${text}" is neither a date nor an age`, {
    hint: "Write a date (2026-01-11), a time (2026-01-11T10:30:00Z) or an age (24h, 7d).",
    ...(cause === undefined ? {} : { cause }),
  });
}

function readDateTime(text: string): ParsedTime | undefined {
  const match = DATE_TIME.exec(text.trim());
  if (match === null) return undefined;
  const part = (group: number): number => Number(match[group] ?? 0);
  const [month, day, hour, minute, second] = [part(2), part(3), part(4), part(5), part(6)];
  const milliseconds = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
  const asUtc = new Date(Date.UTC(part(1), month - 1, day, hour, minute, second, milliseconds));
  // Date rolls 30 February or 25:00 over into the next month or day: such a time does not exist.
  const rolledOver =
    asUtc.getUTCMonth() !== month - 1 ||
    asUtc.getUTCDate() !== day ||
    asUtc.getUTCHours() !== hour ||
    asUtc.getUTCMinutes() !== minute ||
    asUtc.getUTCSeconds() !== second;
  const offsetMinutes = readOffset(match[8]);
  if (rolledOver || offsetMinutes === "invalid") return undefined;
  return { asUtc, hasTime: match[4] !== undefined, offsetMinutes };
}

function readOffset(text: string | undefined): number | undefined | "invalid" {
  if (text === undefined) return undefined;
  if (text.toUpperCase() === "Z") return 0;
  const hours = Number(text.slice(1, 3));
  const minutes = Number(text.slice(3).replace(":", "") || 0);
  if (hours > 23 || minutes > 59) return "invalid";
  return (text.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

/** For people, in their time zone: `2026-01-11 03:00:00 (Europe/Berlin)`, `2026-01-11 02:00:00 UTC`. */
export function formatInstant(at: Date, timezone = "UTC"): string {
  const wall = wallClockAt(at, timezone);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${String(wall.year).padStart(4, "0")}-${two(wall.month)}-${two(wall.day)}`;
  const zone = timezone === "UTC" ? "UTC" : `(${timezone})`;
  return `${date} ${two(wall.hour)}:${two(wall.minute)}:${two(wall.second)} ${zone}`;
}

/** The day of an instant in the time zone: `2026-01-11`. */
export function formatDay(at: Date, timezone: string): string {
  return formatInstant(at, timezone).slice(0, 10);
}

const SPANS = [
  { word: "year", ms: 365 * 86_400_000 },
  { word: "day", ms: 86_400_000 },
  { word: "hour", ms: 3_600_000 },
  { word: "minute", ms: 60_000 },
  { word: "second", ms: 1_000 },
] as const;

/** A length of time in its largest whole unit: `90 seconds` is `1 minute`. */
export function formatSpan(lengthMs: number): string {
  const { word, ms } = SPANS.find((span) => lengthMs >= span.ms) ?? { word: "second", ms: 1_000 };
  return count(Math.floor(lengthMs / ms), word);
}
