import { expect, it } from "vitest";
import { type Course, compare } from "./simulated-weeks.ts";

const CLEANED_TOO_SELDOM: Course = {
  start: new Date("2026-03-16T00:30:00.000Z"),
  weeks: 5,
  storages: {},
  rules: `
chain: {full_every: 1d}
retention: {incremental: 1d, daily: 14d, weekly: 14d, monthly: 14d}
schedules:
  nightly: {every: day, at: "02:00"}
  tidy: {operation: cleanup, every: sunday, at: "05:00"}
`,
};

it("a simulation says from when on real cleanups are refused, and what is stored then", async () => {
  const { said, refused } = await compare(CLEANED_TOO_SELDOM);

  expect(refused.length).toBeGreaterThan(1);
  expect(said.at(-1)?.refused).toEqual({ since: refused[0]?.at, brake: refused[0]?.brake });
}, 300_000);
