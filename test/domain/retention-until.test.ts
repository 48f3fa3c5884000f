import { expect, it } from "vitest";
import { retentionUntil } from "../../src/domain/retention-until.ts";

const durations = {
  incremental: { amount: 7, unit: "d" },
  daily: { amount: 30, unit: "d" },
  weekly: { amount: 12, unit: "w" },
  monthly: { amount: 12, unit: "mo" },
  yearly: { amount: 7, unit: "y" },
  snapshots: { amount: 90, unit: "d" },
  manual: "forever",
} as const;
const from = new Date("2026-01-31T02:00:00.000Z");

it.each([
  ["incremental", "2026-02-07T02:00:00.000Z"],
  ["weekly", "2026-04-25T02:00:00.000Z"],
  ["monthly", "2027-01-31T02:00:00.000Z"],
  ["yearly", "2033-01-31T02:00:00.000Z"],
  ["manual", null],
] as const)("%s is kept until %s", (category, until) => {
  expect(retentionUntil({ category, durations, from })).toBe(until);
});

it("a year is kept for seven where the config names none", () => {
  const asked = { category: "yearly", durations: { ...durations, yearly: undefined }, from } as const;

  expect(retentionUntil(asked)).toBe("2033-01-31T02:00:00.000Z");
});

it("is the days asked for, whatever the class", () => {
  expect(retentionUntil({ category: "manual", durations, from, retentionDays: 3 })).toBe("2026-02-03T02:00:00.000Z");
  expect(retentionUntil({ category: "daily", durations, from, retentionDays: 0 })).toBe(from.toISOString());
});

it.each([-1, 1.5, Number.NaN, 40_000])("refuses %d days", (retentionDays) => {
  expect(() => retentionUntil({ category: "daily", durations, from, retentionDays })).toThrow(
    expect.objectContaining({ code: "USAGE", message: expect.stringContaining("--retention-days") }),
  );
});
