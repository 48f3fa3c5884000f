import { expect, it } from "vitest";
import { instantOf, startOfDay, wallClockAt } from "../../src/domain/zone.ts";

const wall = (text: string) => {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = text.split(/[-: ]/).map(Number);
  return { year, month, day, hour, minute, second };
};

it.each([
  ["2026-01-11 03:00:00", "Europe/Berlin", "2026-01-11T02:00:00.000Z"],
  ["2026-07-11 03:00:00", "Europe/Berlin", "2026-07-11T01:00:00.000Z"],
  // 29 March 2026, 02:30 does not exist in Berlin; clocks show 03:30 then.
  ["2026-03-29 02:30:00", "Europe/Berlin", "2026-03-29T01:30:00.000Z"],
  // 25 October 2026, 02:30 comes twice; the first is summer time.
  ["2026-10-25 02:30:00", "Europe/Berlin", "2026-10-25T00:30:00.000Z"],
  ["2026-01-11 00:00:00", "Asia/Kathmandu", "2026-01-10T18:15:00.000Z"],
  ["2026-01-11 00:00:00", "Pacific/Kiritimati", "2026-01-10T10:00:00.000Z"],
  ["2026-01-11 12:34:56", "UTC", "2026-01-11T12:34:56.000Z"],
])("%s in %s is %s", (text, timezone, iso) => {
  expect(instantOf(wall(text), timezone).toISOString()).toBe(iso);
});

it("shows the wall clock of an instant", () => {
  expect(wallClockAt(new Date("2026-01-10T23:30:15.999Z"), "Europe/Berlin")).toEqual(wall("2026-01-11 00:30:15"));
});

it.each([
  ["2026-03-29T12:00:00Z", "Europe/Berlin", 0, "2026-03-28T23:00:00.000Z"],
  ["2026-03-29T12:00:00Z", "Europe/Berlin", 1, "2026-03-29T22:00:00.000Z"],
  ["2026-12-31T23:30:00Z", "Europe/Berlin", 1, "2027-01-01T23:00:00.000Z"],
  // Beirut's clocks skip midnight on 29 March 2026: the day begins at 01:00.
  ["2026-03-29T12:00:00Z", "Asia/Beirut", 0, "2026-03-28T22:00:00.000Z"],
])("the day of %s in %s, %i later, begins at %s", (iso, timezone, days, expected) => {
  expect(startOfDay(new Date(iso), timezone, days).toISOString()).toBe(expected);
});
