import { wallClockAt } from "./zone.ts";

export type Period = "yearly" | "monthly" | "weekly" | "daily" | "hourly";

const HOUR_MS = 3_600_000;

/** A name for the year, month, ISO week, day or hour that the instant falls into, as seen in the time zone. */
export function periodOf(at: Date, period: Period, timezone: string): string {
  // Not by the wall: when clocks are put back it shows one hour twice.
  if (period === "hourly") return `hour ${Math.floor(at.getTime() / HOUR_MS)}`;
  const { year, month, day } = wallClockAt(at, timezone);
  if (period === "yearly") return `${year}`;
  if (period === "monthly") return `${year}-${month}`;
  return period === "weekly" ? `week of ${mondayOf(year, month, day)}` : `${year}-${month}-${day}`;
}

function mondayOf(year: number, month: number, day: number): string {
  const date = new Date(Date.UTC(year, month - 1, day));
  const daysSinceMonday = (date.getUTCDay() + 6) % 7;
  return new Date(Date.UTC(year, month - 1, day - daysSinceMonday)).toISOString().slice(0, 10);
}
