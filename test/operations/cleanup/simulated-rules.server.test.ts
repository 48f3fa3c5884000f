import { expect, it } from "vitest";
import { type Course, compare } from "./simulated-weeks.ts";

const KEPT_BY_RULES: Course = {
  start: new Date("2026-03-16T00:30:00.000Z"),
  weeks: 4,
  storages: { second: "replica" },
  rules: `
chain: {full_every: 2d}
retention:
  max_delete: 100%
  incremental: 1d
  daily: 3d
  weekly: 4d
  monthly: 5d
  keep_last: 5
  keep_hourly: 8
  keep_daily: 6
  keep_weekly: 2
  storages:
    second: {incremental: 3d, keep_last: 2, keep_daily: 10, keep_weekly: 4}
schedules:
  weekly: {every: monday, at: "02:10"}
  often: {every: 12h, mode: incremental}
`,
};

it("a simulation says of four weeks, by many rules, with a cleanup each day, what is stored after real backups and cleanups", async () => {
  const { said, refused, operations } = await compare(KEPT_BY_RULES);

  expect(refused).toEqual([]);
  expect(said.every((day) => day.refused === undefined)).toBe(true);
  const verified = await operations.verify({ all: true, deep: false, quick: true, components: [] });
  expect(verified.passed).toBe(true);
}, 300_000);
