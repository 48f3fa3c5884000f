import { describe, expect, test } from "vitest";
import { isToBeAsked, waitMs } from "../../../src/domain/schedule/wake.ts";

const NIGHTLY = { cron: "0 2 * * *", timezone: "UTC" };

function at(text: string): Date {
  return new Date(`2026-01-${text.replace(" ", "T")}Z`);
}

describe("a schedule is asked for", () => {
  test.each([
    ["at the start", undefined, "11 00:00:00", true],
    ["not before its time comes", "11 00:00:00", "11 01:59:59", false],
    ["when it comes", "11 00:00:00", "11 02:00:00", true],
    ["once", "11 02:00:00", "11 02:00:01", false],
    ["after a sleep", "11 02:00:00", "14 09:00:00", true],
    ["where the clock was set back", "11 02:00:00", "11 01:00:00", true],
  ])("%s", (_, asked, now, expected) => {
    expect(isToBeAsked(NIGHTLY, asked === undefined ? undefined : at(asked), at(now))).toBe(expected);
  });

  test("in time, and nobody sleeps for longer than a minute", () => {
    expect(waitMs([NIGHTLY], at("11 00:00:00"))).toBe(60_000);
    expect(waitMs([NIGHTLY, { cron: "*/15 * * * *", timezone: "UTC" }], at("11 00:14:50"))).toBe(10_000);
  });
});
