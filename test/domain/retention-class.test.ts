import { expect, it } from "vitest";
import { type CategoryRequest, chooseCategory } from "../../src/domain/retention-class.ts";

const base: CategoryRequest = {
  manual: false,
  type: "full",
  mode: "full",
  now: new Date("2026-01-14T02:00:00.000Z"),
  timezone: "UTC",
  configuredClasses: ["daily", "weekly", "monthly"],
  completedFulls: [],
};

it.each<[string, Partial<CategoryRequest>, string]>([
  ["a manual backup", { manual: true, type: "configuration", mode: "incremental" }, "manual"],
  ["configuration", { type: "configuration", mode: "incremental" }, "snapshots"],
  ["a backup that is not full", { mode: "differential" }, "incremental"],
  ["the class asked for", { explicitClass: "weekly", mode: "incremental" }, "weekly"],
  ["manual asked for twice", { explicitClass: "manual", manual: true }, "manual"],
  ["the first full ever", {}, "monthly"],
  ["the first full ever where years are kept", { configuredClasses: ["yearly"] }, "yearly"],
  [
    "the first full of a month, in a year that has one",
    { configuredClasses: ["yearly"], completedFulls: ["2026-01-01T00:00:00Z"], now: new Date("2026-02-01T02:00:00Z") },
    "monthly",
  ],
  ["the first full of a week", { completedFulls: ["2026-01-11T02:00:00Z"] }, "weekly"],
  ["the first full of a day", { completedFulls: ["2026-01-13T23:59:59Z"] }, "daily"],
  ["a second full of one day", { completedFulls: ["2026-01-14T01:00:00Z"] }, "daily"],
  ["a full after a year without any", { completedFulls: ["2025-01-14T02:00:00Z"] }, "monthly"],
])("%s is kept as %s", (_what, request, category) => {
  expect(chooseCategory({ ...base, ...request })).toBe(category);
});

it.each([
  ["2026-01-01T02:00:00Z", "2025-12-29T02:00:00Z", "monthly"],
  ["2026-01-05T00:00:00Z", "2026-01-04T23:59:00Z", "weekly"],
  ["2026-01-11T23:00:00Z", "2026-01-05T00:00:00Z", "daily"],
])("a full at %s after one at %s is kept as %s, for weeks begin on Monday", (now, earlier, category) => {
  expect(chooseCategory({ ...base, now: new Date(now), completedFulls: [earlier] })).toBe(category);
});

it("takes the boundaries of days and months from the time zone", () => {
  // 23:30 UTC on 31 January is already February in Berlin.
  const request = { ...base, now: new Date("2026-01-31T23:30:00Z"), completedFulls: ["2026-01-31T22:00:00Z"] };

  expect(chooseCategory({ ...request, timezone: "UTC" })).toBe("daily");
  expect(chooseCategory({ ...request, timezone: "Europe/Berlin" })).toBe("monthly");
});

it.each([
  [{ explicitClass: "hourly" }, "is not a retention class"],
  [{ explicitClass: "daily", manual: true }, "contradict each other"],
])("refuses %j", (request, message) => {
  expect(() => chooseCategory({ ...base, ...request })).toThrow(
    expect.objectContaining({ code: "USAGE", message: expect.stringContaining(message) }),
  );
});
