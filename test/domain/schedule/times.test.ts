import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CronFields, parseCron } from "../../../src/domain/schedule/cron.ts";
import { latestRun, nextRun, runsBetween, type Timing } from "../../../src/domain/schedule/times.ts";
import { wallClockAt } from "../../../src/domain/zone.ts";
import { cronExpressions, ZONES_WITH_CHANGES } from "./arbitrary-cron.ts";

const MINUTE_MS = 60_000;

function runsFrom(timing: Timing, from: string, count: number): readonly string[] {
  return runsBetween(timing, new Date(from), new Date("2030-01-01T00:00:00Z"), count).map((at) =>
    at.toISOString().slice(5, 16),
  );
}

describe("the times of a schedule", () => {
  const berlin = (cron: string): Timing => ({ cron, timezone: "Europe/Berlin" });

  test.each([
    [
      "what clocks skip is due at the change",
      berlin("30 2 * * *"),
      "2026-03-27T12:00Z",
      ["03-28T01:30", "03-29T01:00", "03-30T00:30"],
    ],
    [
      "all of it at once",
      berlin("15,45 2,3 * * *"),
      "2026-03-29T00:00Z",
      ["03-29T01:00", "03-29T01:15", "03-29T01:45", "03-30T00:15"],
    ],
    [
      "what they show twice is due the first time",
      berlin("30 2 * * *"),
      "2026-10-24T12:00Z",
      ["10-25T00:30", "10-26T01:30"],
    ],
    [
      "of every hour also the second time",
      berlin("*/30 * * * *"),
      "2026-10-24T23:45Z",
      ["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30", "10-25T02:00"],
    ],
    [
      "half an hour is skipped",
      { cron: "15 2 * * *", timezone: "Australia/Lord_Howe" },
      "2026-10-02T00:00Z",
      ["10-02T15:45", "10-03T15:30", "10-04T15:15"],
    ],
    [
      "a day without midnight",
      { cron: "0 0 * * *", timezone: "America/Santiago" },
      "2026-09-05T00:00Z",
      ["09-05T04:00", "09-06T04:00", "09-07T03:00"],
    ],
    ["leap days", { cron: "0 0 29 2 *", timezone: "UTC" }, "2026-01-01T00:00Z", ["02-29T00:00"]],
  ])("%s", (_, timing, from, expected) => {
    expect(runsFrom(timing, from, expected.length)).toEqual(expected);
  });

  test("are those of a clock that is looked at every minute, in any zone and around any change", () => {
    fc.assert(
      fc.property(
        cronExpressions(),
        fc.constantFrom(...ZONES_WITH_CHANGES),
        fc.nat(3 * 24 * 60),
        (cron, zone, minutes) => {
          const timing = { cron, timezone: zone.timezone };
          const from = new Date(zone.change.getTime() + (minutes - 2 * 24 * 60) * MINUTE_MS);
          const to = new Date(from.getTime() + 12 * 60 * MINUTE_MS);

          const expected = watched(timing, from, to);

          expect(runsBetween(timing, from, to, 1000)).toEqual(expected);
          for (const at of expected) expect(latestRun(timing, new Date(at.getTime() + 59_999))).toEqual(at);
          const last = latestRun(timing, to);
          expect(nextRun(timing, new Date(last.getTime() - 1))).toEqual(last);
        },
      ),
      { numRuns: 100 },
    );
  });
});

/** What fits of each minute, by what the clock shows then and by what it has never shown. */
function watched({ cron, timezone }: Timing, from: Date, to: Date): readonly Date[] {
  const fields = parseCron(cron);
  const shown = new Set<string>();
  const found: Date[] = [];
  const begin = from.getTime() - 26 * 60 * MINUTE_MS;
  let before = Number.NaN;
  for (let at = Math.ceil(begin / MINUTE_MS) * MINUTE_MS; at <= to.getTime(); at += MINUTE_MS) {
    const wall = wallMs(new Date(at), timezone);
    const skipped: number[] = [];
    for (let missing = before + MINUTE_MS; missing < wall; missing += MINUTE_MS) skipped.push(missing);
    const isNew = !shown.has(String(wall));
    shown.add(String(wall));
    before = wall;
    const isDue =
      (fits(fields, wall) && (isNew || fields.hours.length === 24)) || skipped.some((one) => fits(fields, one));
    if (isDue && at > from.getTime()) found.push(new Date(at));
  }
  return found;
}

function wallMs(at: Date, timezone: string): number {
  const { year, month, day, hour, minute } = wallClockAt(at, timezone);
  return Date.UTC(year, month - 1, day, hour, minute);
}

function fits({ minutes, hours, months, days, weekdays }: CronFields, wall: number): boolean {
  const at = new Date(wall);
  const isDay =
    days === undefined && weekdays === undefined
      ? true
      : days?.includes(at.getUTCDate()) === true || weekdays?.includes(at.getUTCDay()) === true;
  return (
    isDay &&
    minutes.includes(at.getUTCMinutes()) &&
    hours.includes(at.getUTCHours()) &&
    months.includes(at.getUTCMonth() + 1)
  );
}
