import { BackupctlError } from "../errors.ts";
import type { Category } from "./backup.ts";
import { addDuration, type Duration } from "./duration.ts";

/** How long each class is kept. */
export type RetentionDurations = Readonly<Record<Exclude<Category, "yearly">, Duration>> & {
  readonly yearly: Duration | undefined;
};

/** Of a year that was asked for with `--class`, where the config names no years. */
const YEARLY: Duration = { amount: 7, unit: "y" };

/**
 * The time until which a backup is kept, ISO in UTC; `null` is for ever. `retentionDays` (of `--retention-days`) wins over the
 * class.
 * @throws `USAGE` for days that are not a whole number from 0 to 36500.
 */
export function retentionUntil(request: {
  readonly category: Category;
  readonly durations: RetentionDurations;
  readonly retentionDays?: number | undefined;
  readonly from: Date;
}): string | null {
  return addDuration(request.from, durationOf(request))?.toISOString() ?? null;
}

function durationOf(request: {
  readonly category: Category;
  readonly durations: RetentionDurations;
  readonly retentionDays?: number | undefined;
}): Duration {
  const days = request.retentionDays;
  if (days === undefined) return request.durations[request.category] ?? YEARLY;
  if (!Number.isInteger(days) || days < 0 || days > 36_500) {
    throw new BackupctlError("USAGE", `--retention-days ${days} is not a number of days`, {
      hint: "Give a whole number from 0 to 36500.",
    });
  }
  return { amount: days, unit: "d" };
}
