import { expect, it } from "vitest";
import { type Course, compare } from "./simulated-weeks.ts";

const ARCHIVED: Course = {
  start: new Date("2026-03-16T00:30:00.000Z"),
  weeks: 22,
  storages: { second: "replica", vault: "archive" },
  rules: `
chain: {full_every: 7d}
retention:
  max_delete: 60%
  incremental: 7d
  daily: 14d
  weekly: 14d
  monthly: 30d
  storages:
    second: {monthly: 45d}
    vault: {monthly: 80d}
schedules:
  weekly: {every: sunday, at: "02:10"}
  changes: {every: wednesday, at: "02:10", mode: incremental}
  tidy: {operation: cleanup, every: monday, at: "05:00"}
`,
};

it("a simulation says of five months, of which an archive keeps each, what is stored after real backups and cleanups", async () => {
  const { said, refused, operations } = await compare(ARCHIVED);

  expect(refused).toEqual([]);
  expect(said.every((day) => day.refused === undefined)).toBe(true);
  const most = Math.max(...said.map(({ storages }) => storages.find(({ name }) => name === "vault")?.backups ?? 0));
  expect(most).toBeGreaterThan(1);
  const verified = await operations.verify({ all: true, deep: false, quick: true, components: [] });
  expect(verified.passed).toBe(true);
}, 300_000);
