import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dueTime, missedRuns } from "../../../src/domain/schedule/due.ts";
import type { PastRun, RunStatus } from "../../../src/domain/schedule/past-run.ts";
import { latestRun, runsBetween } from "../../../src/domain/schedule/times.ts";
import { ZONES_WITH_CHANGES } from "./arbitrary-cron.ts";

const NIGHTLY = { cron: "0 2 * * *", timezone: "UTC" };
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

function at(text: string): Date {
  return new Date(`2026-01-${text.replace(" ", "T")}:00Z`);
}

function run(scheduledFor: string, startedAt: string, status: RunStatus = "completed"): PastRun {
  return { scheduledFor: at(scheduledFor), startedAt: at(startedAt), status };
}

describe("whether a nightly schedule, known since the 10th at 12:00, is due", () => {
  const since = at("10 12:00");

  test.each<[string, PastRun[], string, string | undefined]>([
    ["not before its first time", [], "11 01:59", undefined],
    ["at its first time", [], "11 02:00", "11 02:00"],
    ["not for a time before it was known", [], "10 12:01", undefined],
    ["not once it has run", [run("11 02:00", "11 02:00")], "11 02:00", undefined],
    ["not while it runs", [run("11 02:00", "11 02:00", "running")], "11 23:00", undefined],
    ["not after it failed: what failed does so again", [run("11 02:00", "11 02:00", "failed")], "11 03:00", undefined],
    ["late, once for all that was missed", [run("11 02:00", "11 02:00")], "14 09:00", "14 02:00"],
    [
      "not twice for what was missed",
      [run("14 02:00", "14 09:00"), run("11 02:00", "11 02:00")],
      "14 09:15",
      undefined,
    ],
    ["again where it was cut off", [run("11 02:00", "11 02:00", "interrupted")], "11 02:10", "11 02:00"],
    [
      "not a third time",
      [run("11 02:00", "11 02:10", "interrupted"), run("11 02:00", "11 02:00", "interrupted")],
      "11 02:20",
      undefined,
    ],
    [
      "again at its next time, though it was cut off twice",
      [run("11 02:00", "11 02:10", "interrupted"), run("11 02:00", "11 02:00", "interrupted")],
      "12 02:00",
      "12 02:00",
    ],
    [
      "where the last run is of a time to come: the clock was set back",
      [run("20 02:00", "20 02:00")],
      "12 10:00",
      "12 02:00",
    ],
    [
      "not where the clock was ahead for a while only, since when no time came",
      [run("20 02:00", "20 02:00", "failed"), run("12 02:00", "12 02:00")],
      "12 10:00",
      undefined,
    ],
    [
      "not again once it ran after that",
      [run("12 02:00", "12 10:00"), run("20 02:00", "20 02:00")],
      "12 10:05",
      undefined,
    ],
    ["not where the clock was set right by minutes", [run("11 02:00", "11 02:00")], "11 01:57", undefined],
  ])("%s", (_, runs, now, expected) => {
    expect(dueTime({ timing: NIGHTLY, since, runs, now: at(now) })).toEqual(
      expected === undefined ? undefined : at(expected),
    );
  });

  test("it is, of yesterday, where it is known since a time to come", () => {
    expect(dueTime({ timing: NIGHTLY, since: at("20 00:00"), runs: [], now: at("11 02:00") })).toEqual(at("11 02:00"));
    const runs = [run("11 02:00", "11 02:00")];
    expect(dueTime({ timing: NIGHTLY, since: at("20 00:00"), runs, now: at("11 03:00") })).toBeUndefined();
  });
});

describe("what was missed", () => {
  const since = at("10 12:00");
  const missed = (runs: PastRun[], now: string) => missedRuns({ timing: NIGHTLY, since, runs, now: at(now) });

  test("is nothing for a quarter of an hour, nor while it runs", () => {
    expect(missed([], "11 02:14")).toBeUndefined();
    expect(missed([], "11 02:15")).toEqual({ count: 1, first: at("11 02:00"), last: at("11 02:00") });
    expect(missed([run("11 02:00", "11 02:00", "running")], "11 23:00")).toBeUndefined();
  });

  test("is counted from the last run on, and made up for by one", () => {
    expect(missed([run("11 02:00", "11 02:00")], "14 09:00")).toMatchObject({ count: 3, first: at("12 02:00") });
    expect(missed([run("14 02:00", "14 09:00")], "14 10:00")).toBeUndefined();
  });

  test("is nothing that ran before the clock was ahead for a while, nor what ran by that clock", () => {
    const ahead = [run("20 02:00", "20 02:00", "failed"), run("19 02:00", "19 02:00")];

    expect(missed([...ahead, run("12 02:00", "12 02:00")], "12 10:00")).toBeUndefined();
    expect(missed([...ahead, run("11 02:00", "11 02:00")], "13 10:00")).toMatchObject({
      count: 1,
      first: at("13 02:00"),
    });
  });

  test("is what a clock that was behind jumped over, until the next run: when that clock was wrong nothing tells", () => {
    const behind = run("11 02:00", "11 02:00");

    expect(missed([behind], "13 03:00")).toMatchObject({ count: 2, first: at("12 02:00") });
    expect(missed([run("13 02:00", "13 03:00"), behind], "13 03:10")).toBeUndefined();
  });

  test("is what was cut off, too", () => {
    expect(missed([run("11 02:00", "11 02:00", "interrupted")], "11 03:00")).toMatchObject({ count: 1 });
  });
});

/**
 * A host whose schedule is asked for at random moments, sleeps, dies in the middle, and whose clock is set back and forth. What is run
 * is what `dueTime` says, as `schedule run --if-due` does it.
 */
describe("over random histories", () => {
  const timings = fc.record({
    cron: fc.constantFrom("*/15 * * * *", "30 2 * * *", "0 */6 * * *", "0 3 * * 0", "15 1,2,3 * * *"),
    timezone: fc.constantFrom(...ZONES_WITH_CHANGES.map(({ timezone }) => timezone)),
  });
  const steps = fc.array(
    fc.record({
      waitMinutes: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 3 * 24 * 60 })),
      status: fc.constantFrom<RunStatus>("completed", "completed", "failed", "partial", "interrupted"),
      jumpMinutes: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: -5000, max: 5000 })),
    }),
    { maxLength: 25 },
  );
  const begin = fc.constantFrom(...ZONES_WITH_CHANGES.map(({ change }) => new Date(change.getTime() - 12 * DAY_MS)));

  test("with a right clock no time is run twice unless it was cut off, and none is left undone when it is asked for", () => {
    fc.assert(
      fc.property(timings, begin, steps, (timing, since, history) => {
        let now = since.getTime() + 10 * DAY_MS;
        const runs: PastRun[] = [];
        for (const { waitMinutes, status } of history) {
          now += waitMinutes * MINUTE_MS;
          const asked = { timing, since, runs, now: new Date(now) };
          const due = dueTime(asked);
          if (due !== undefined) runs.unshift({ scheduledFor: due, startedAt: new Date(now), status });

          const latest = latestRun(timing, new Date(now));
          if (latest > since) expect(runs[0]?.scheduledFor).toEqual(latest);
          if (status !== "interrupted" && due !== undefined) expect(dueTime({ ...asked, runs })).toBeUndefined();
        }
        for (const same of Map.groupBy(runs, ({ scheduledFor }) => scheduledFor.getTime()).values()) {
          expect(same.length).toBeLessThanOrEqual(2);
          expect(same.slice(1).every(({ status }) => status === "interrupted")).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("whatever the clock did, a host that is up again runs at each of the next times", () => {
    fc.assert(
      fc.property(timings, begin, steps, (timing, since, history) => {
        let now = since.getTime() + 10 * DAY_MS;
        const runs: PastRun[] = [];
        const ask = (status: RunStatus): Date | undefined => {
          const due = dueTime({ timing, since, runs, now: new Date(now) });
          if (due !== undefined) runs.unshift({ scheduledFor: due, startedAt: new Date(now), status });
          return due;
        };
        for (const { waitMinutes, jumpMinutes, status } of history) {
          now = Math.max(now + (waitMinutes + jumpMinutes) * MINUTE_MS, since.getTime() + 8 * DAY_MS);
          ask(status);
        }
        ask("completed");

        const times = runsBetween(timing, new Date(now), new Date(now + 9 * DAY_MS), 5);
        for (const time of times.filter((one) => one.getTime() > now + 10 * MINUTE_MS)) {
          now = time.getTime();
          expect(ask("completed")).toEqual(time);
          expect(ask("completed")).toBeUndefined();
        }
      }),
      { numRuns: 500 },
    );
  });
});
