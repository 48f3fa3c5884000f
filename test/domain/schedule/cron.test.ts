import { describe, expect, test } from "vitest";
import { parseCron } from "../../../src/domain/schedule/cron.ts";
import { cronOfEvery } from "../../../src/domain/schedule/every.ts";

describe("a cron expression", () => {
  test("says minutes, hours, months and days; a wildcard is any day", () => {
    expect(parseCron("*/20 1-3 * jan,Feb *")).toEqual({
      ...{ minutes: [0, 20, 40], hours: [1, 2, 3], months: [1, 2], days: undefined, weekdays: undefined },
    });
    expect(parseCron("0 0 1,15 * MON-FRI")).toMatchObject({ days: [1, 15], weekdays: [1, 2, 3, 4, 5] });
    expect(parseCron("0 0 * * 7")).toMatchObject({ weekdays: [0], days: undefined });
    expect(parseCron("0 0 * * 5-7")).toMatchObject({ weekdays: [0, 5, 6] });
    expect(parseCron("0 0 * * 1-7")).toMatchObject({ weekdays: undefined, days: undefined });
    expect(parseCron("0 0 1 * 0-6"), "one of both lists will do").toMatchObject({
      days: undefined,
      weekdays: undefined,
    });
    expect(parseCron(" @Daily ")).toMatchObject({ minutes: [0], hours: [0] });
  });

  test.each([
    ["", "five fields"],
    ["* * *", "five fields"],
    ["0 0 2 * * *", "five fields"],
    ["@reboot", "none of @hourly"],
    ["0 24 * * *", "0-23"],
    ["*/70 * * * *", "a step beyond its minute"],
    ["0 */24 * * *", "a step beyond its hour"],
    ["5-1 * * * *", "min"],
    ["0 0 31 2 *", "day of month"],
    ["0 0 30 2 *", "day of month"],
    ["0 0 L * *", "a day of the month that cron does not know"],
    ["0 0 * * 5#2", "a day of the week that cron does not know"],
    ["0 0 15W * *", "a day of the month that cron does not know"],
    ["H 2 * * *", "a minute that cron does not know"],
    ["0 0 ? * 1", "a day of the month that cron does not know"],
    ["0 0 * * 0,7", "duplicate"],
    ["0 0 * * * ; rm", "five fields"],
    ["0 0 * *\n* *", "five fields"],
  ])("%j is refused: %s", (text, reason) => {
    expect(() => parseCron(text)).toThrow(
      expect.objectContaining({ code: "USAGE", message: expect.stringContaining(reason) }),
    );
  });
});

describe("every and at", () => {
  test.each([
    ["15m", undefined, "*/15 * * * *"],
    ["1m", undefined, "* * * * *"],
    ["6h", undefined, "0 */6 * * *"],
    ["1h", undefined, "0 * * * *"],
    ["hour", undefined, "0 * * * *"],
    ["day", "02:00", "0 2 * * *"],
    ["Day", "9:05", "5 9 * * *"],
    ["week", "23:59", "59 23 * * 0"],
    ["friday", "00:00", "0 0 * * 5"],
    ["month", "02:30", "30 2 1 * *"],
  ])("%s at %s is %s", (every, at, cron) => {
    expect(cronOfEvery({ every, at })).toBe(cron);
    expect(() => parseCron(cron)).not.toThrow();
  });

  test.each([
    [{ every: "7m" }, "7 does not divide the 60 minutes of an hour"],
    [{ every: "60m" }, "60 does not divide"],
    [{ every: "0h" }, "0 does not divide the 24 hours of a day"],
    [{ every: "48h" }, "48 does not divide"],
    [{ every: "15m", at: "02:00" }, 'means nothing with "15m"'],
    [{ every: "day" }, "needs a time of the day"],
    [{ every: "day", at: "24:00" }, '"24:00" is not a time of the day'],
    [{ every: "day", at: "2am" }, '"2am" is not a time of the day'],
    [{ every: "fortnight", at: "02:00" }, '"fortnight" is no such time'],
  ])("%j is refused: %s", (given, reason) => {
    expect(() => cronOfEvery(given)).toThrow(
      expect.objectContaining({ code: "USAGE", message: expect.stringContaining(reason) }),
    );
  });
});
