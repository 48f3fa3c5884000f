import { clockChanges, repeats, skips } from "./clock-changes.ts";
import { type CronFields, parseCron } from "./cron.ts";
import type { Timing } from "./times.ts";
import { groupTimes } from "./times-of-day.ts";

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/**
 * The OnCalendar= expressions of a systemd timer that elapses whenever the schedule is due: at its very times; and where the zone's clocks
 * change, of which systemd leaves out what is skipped and what is shown the second time, at these in UTC, in all of the month.
 */
export function onCalendar(timing: Timing, now: Date): readonly string[] {
  const fields = parseCron(timing.cron);
  return [
    ...datesOf(fields).map((dates) => `${dates} ${clockText(fields)} ${timing.timezone}`),
    ...leftOut(fields, timing, now),
  ];
}

/** Where both are named either will do, which one expression can't say. */
function datesOf({ months, days, weekdays }: CronFields): readonly string[] {
  const month = months.length === 12 ? "*" : months.map(two).join(",");
  const anyDate = `*-${month}-*`;
  const byDay = days === undefined ? [] : [`*-${month}-${days.map(two).join(",")}`];
  const byWeekday =
    weekdays === undefined ? [] : [`${weekdays.map((weekday) => WEEKDAYS[weekday]).join(",")} ${anyDate}`];
  const both = [...byWeekday, ...byDay];
  return both.length === 0 ? [anyDate] : both;
}

function clockText({ hours, minutes }: Pick<CronFields, "hours" | "minutes">): string {
  return `${hours.length === 24 ? "*" : hours.map(two).join(",")}:${minutes.length === 60 ? "*" : minutes.map(two).join(",")}:00`;
}

function leftOut(fields: CronFields, { timezone }: Timing, now: Date): readonly string[] {
  const runs = clockChanges(timezone, now).flatMap((change) => [
    ...(skips(fields, change) ? [change.at] : []),
    ...repeats(fields, change),
  ]);
  const inMonths = [...Map.groupBy(runs, (at) => at.getUTCMonth() + 1)].flatMap(([month, inMonth]) =>
    groupTimes(inMonth.map((at) => at.getUTCHours() * 60 + at.getUTCMinutes())).map((times) => ({
      month,
      clock: clockText(times),
    })),
  );
  return [...Map.groupBy(inMonths, ({ clock }) => clock)].map(([clock, some]) => {
    const months = some.map(({ month }) => month).sort((a, b) => a - b);
    return `*-${months.map(two).join(",")}-* ${clock} UTC`;
  });
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
