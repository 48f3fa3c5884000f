import { BackupctlError } from "../../errors.ts";

/** Other ways to write a schedule's times than a cron expression. */
export interface Every {
  /** `15m`, `6h`, `hour`, `day`, `week`, `month` or the name of a weekday. */
  readonly every: string;
  /** `HH:MM`, for a day and longer. */
  readonly at?: string | undefined;
}

const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const EVERY_HINT = "Write 15m, 6h, hour, day, week, month or the name of a weekday.";

/** The cron expression that says the same. @throws `USAGE` */
export function cronOfEvery({ every, at }: Every): string {
  const word = every.trim().toLowerCase();
  const amount = /^(\d{1,2})([mh])$/.exec(word);
  const isShort = amount !== null || word === "hour";
  if (isShort && at !== undefined) throw new BackupctlError("USAGE", `means nothing with "${every}"; leave it out`);
  if (amount !== null) return cronOfAmount(Number(amount[1]), amount[2] === "m" ? "minute" : "hour");
  const [hour, minute] = isShort ? ["*", "0"] : timeOf(at);
  switch (word) {
    case "hour":
    case "day":
      return `${minute} ${hour} * * *`;
    case "week":
      return `${minute} ${hour} * * 0`;
    case "month":
      return `${minute} ${hour} 1 * *`;
  }
  const weekday = WEEKDAYS.indexOf(word);
  if (weekday >= 0) return `${minute} ${hour} * * ${weekday}`;
  throw new BackupctlError("USAGE", `"${every}" is no such time`, { hint: EVERY_HINT });
}

/** The clock begins anew with each hour and each day: what does not divide them would come at uneven distances. */
function cronOfAmount(amount: number, unit: "minute" | "hour"): string {
  const whole = unit === "minute" ? 60 : 24;
  if (amount < 1 || amount >= whole || whole % amount !== 0) {
    throw new BackupctlError(
      "USAGE",
      `${amount} does not divide the ${whole} ${unit}s of ${unit === "minute" ? "an hour" : "a day"}`,
      { hint: EVERY_HINT },
    );
  }
  const step = amount === 1 ? "*" : `*/${amount}`;
  return unit === "minute" ? `${step} * * * *` : `0 ${step} * * *`;
}

function timeOf(at: string | undefined): readonly [hour: string, minute: string] {
  if (at === undefined) throw new BackupctlError("USAGE", "needs a time of the day, such as 02:00");
  const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(at.trim());
  if (match === null) throw new BackupctlError("USAGE", `"${at}" is not a time of the day such as 02:00`);
  return [String(Number(match[1])), String(Number(match[2]))];
}
