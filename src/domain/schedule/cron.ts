import { type CronExpression, CronExpressionParser } from "cron-parser";
import { BackupctlError, messageOf } from "../../errors.ts";

/** What a cron expression names, each list in order; `days` and `weekdays` (0 is Sunday) are undefined where any will do. */
export interface CronFields {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly months: readonly number[];
  readonly days: readonly number[] | undefined;
  /** Where both are named, a day that is in either of them will do. */
  readonly weekdays: readonly number[] | undefined;
}

const NICKNAMES = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];
const FIELDS = [
  { name: "minute", most: 59 },
  { name: "hour", most: 23 },
  { name: "day of the month", most: 31 },
  { name: "month", most: 12 },
  { name: "day of the week", most: 7 },
] as const;

const CRON_HINT = 'Write minute, hour, day of the month, month and day of the week, such as "30 2 * * 1-5", or @daily.';

const parsed = new Map<string, CronFields>();

/** @throws `USAGE` if it is no cron expression, or names a day that never comes. */
export function parseCron(text: string): CronFields {
  const known = parsed.get(text) ?? fieldsOf(text);
  parsed.set(text, known);
  return known;
}

function fieldsOf(text: string): CronFields {
  const { fields } = expressionOf(text);
  const days = fields.dayOfMonth.isWildcard ? undefined : numbers(fields.dayOfMonth.values);
  const weekdays = fields.dayOfWeek.isWildcard ? undefined : weekdaysOf(numbers(fields.dayOfWeek.values));
  const isEvery = days?.length === 31 || weekdays?.length === 7;
  return {
    minutes: numbers(fields.minute.values),
    hours: numbers(fields.hour.values),
    months: numbers(fields.month.values),
    days: isEvery ? undefined : days,
    weekdays: isEvery ? undefined : weekdays,
  };
}

function expressionOf(text: string): CronExpression {
  const trimmed = text.trim().toLowerCase();
  const problem = problemOf(trimmed);
  if (problem !== undefined) throw new BackupctlError("USAGE", `"${text}" ${problem}`, { hint: CRON_HINT });
  try {
    const expression = CronExpressionParser.parse(trimmed, { tz: "UTC", currentDate: new Date(0) });
    expression.next();
    return expression;
  } catch (cause) {
    const message = `"${text}" is not a cron expression: ${messageOf(cause)}`;
    throw new BackupctlError("USAGE", message, { hint: CRON_HINT, cause });
  }
}

/** The parser takes seconds, fields that are missing and steps beyond the field's end, none of which cron does. */
function problemOf(text: string): string | undefined {
  if (text.startsWith("@")) return NICKNAMES.includes(text) ? undefined : `is none of ${NICKNAMES.join(", ")}`;
  const parts = text.split(/\s+/);
  if (parts.length !== FIELDS.length) return "has not the five fields of a cron expression";
  for (const [index, { name, most }] of FIELDS.entries()) {
    const part = String(parts[index]);
    if (!/^[\d*,/a-z-]+$/.test(part) || /[lh#w](?![a-z])/.test(part)) return `has a ${name} that cron does not know`;
    if ([...part.matchAll(/\/(\d+)/g)].some(([, step]) => Number(step) > most)) return `has a step beyond its ${name}`;
  }
  return undefined;
}

/** A range may end with 7, which is Sunday, too. */
function weekdaysOf(values: readonly number[]): readonly number[] {
  return [...new Set(values.map((weekday) => weekday % 7))].sort((a, b) => a - b);
}

function numbers(values: readonly unknown[]): readonly number[] {
  return values.filter((value) => typeof value === "number");
}
