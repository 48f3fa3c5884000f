import { BackupctlError } from "../errors.ts";
import { count } from "./count.ts";

/** Spans of time as people write them in the config and on the command line: `15m`, `7d`, `12mo`, `forever`. */
type DurationUnit = "s" | "m" | "h" | "d" | "w" | "mo" | "y";

export interface FiniteDuration {
  readonly amount: number;
  readonly unit: DurationUnit;
}

export type Duration = FiniteDuration | "forever";

const UNITS: Readonly<Record<DurationUnit, { readonly word: string; readonly nominalMs: number }>> = {
  s: { word: "second", nominalMs: 1_000 },
  m: { word: "minute", nominalMs: 60_000 },
  h: { word: "hour", nominalMs: 3_600_000 },
  d: { word: "day", nominalMs: 86_400_000 },
  w: { word: "week", nominalMs: 7 * 86_400_000 },
  mo: { word: "month", nominalMs: 30 * 86_400_000 },
  y: { word: "year", nominalMs: 365 * 86_400_000 },
};

/** More would leave the range of `Date`. */
const MAX_AMOUNT = 100_000;

/** What `parseFiniteDuration` reads, in units of which a timer can be set, and more than nothing. */
export const TIMEOUT_PATTERN = /^(?!0+[smh]$)(?:\d{1,5}|100000)[smh]$/;
export const TIMEOUT_RULE = `must be a duration such as 90s, 10m or 2h, at most ${MAX_AMOUNT} of a unit`;

export const DURATION_HINT = "Write a number and a unit: 30s, 15m, 24h, 7d, 12w, 12mo or 7y.";

/** @throws `USAGE` if the text is not a duration. */
export function parseDuration(text: string): Duration {
  const trimmed = text.trim().toLowerCase();
  return trimmed === "forever" ? "forever" : parseFiniteDuration(trimmed);
}

/** Like `parseDuration`, without `forever`. */
export function parseFiniteDuration(text: string): FiniteDuration {
  const match = /^(\d{1,6})\s*([a-z]+)$/.exec(text.trim().toLowerCase());
  const amount = Number(match?.[1]);
  const unit = match?.[2];
  if (unit === undefined || !isUnit(unit) || amount > MAX_AMOUNT) {
    throw new BackupctlError("USAGE", `"${text}" is not a duration`, { hint: DURATION_HINT });
  }
  return { amount, unit };
}

function isUnit(text: string): text is DurationUnit {
  return Object.hasOwn(UNITS, text);
}

/**
 * `at` plus (or, with a negative sign, minus) the duration, in UTC; `undefined` for `forever`. Months and years keep the day
 * of the month, or take the last day of a shorter month: a month after 31 January is the end of February.
 */
export function addDuration(at: Date, duration: Duration, sign: 1 | -1 = 1): Date | undefined {
  if (duration === "forever") return undefined;
  const amount = duration.amount * sign;
  if (duration.unit === "mo") return addMonths(at, amount);
  if (duration.unit === "y") return addMonths(at, amount * 12);
  return new Date(at.getTime() + amount * UNITS[duration.unit].nominalMs);
}

function addMonths(at: Date, months: number): Date {
  const target = new Date(at.getTime());
  target.setUTCDate(1);
  target.setUTCMonth(target.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(target.getUTCFullYear(), target.getUTCMonth() + 1, 0)).getUTCDate();
  target.setUTCDate(Math.min(at.getUTCDate(), lastDay));
  return target;
}

/** Nominal length for comparing durations: a month counts 30 days, a year 365, `forever` is infinite. */
export function durationMs(duration: Duration): number {
  return duration === "forever" ? Number.POSITIVE_INFINITY : duration.amount * UNITS[duration.unit].nominalMs;
}

/** For people: `7 days`, `1 month`, `forever`. */
export function describeDuration(duration: Duration): string {
  if (duration === "forever") return "forever";
  return count(duration.amount, UNITS[duration.unit].word);
}

/** For people, of a time that was measured: `45 seconds`, `5 minutes`, `3 hours`. */
export function describeMs(ms: number): string {
  if (ms < 2 * UNITS.m.nominalMs) return describeDuration({ amount: Math.max(1, Math.round(ms / 1000)), unit: "s" });
  const unit = ms < 2 * UNITS.h.nominalMs ? "m" : "h";
  return describeDuration({ amount: Math.round(ms / UNITS[unit].nominalMs), unit });
}
