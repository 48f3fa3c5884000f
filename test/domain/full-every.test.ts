import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FiniteDuration } from "../../src/domain/duration.ts";
import { isFullDue } from "../../src/domain/full-every.ts";
import { latestRun, nextRun } from "../../src/domain/schedule/times.ts";
import { backupId, knownBackup, metadataOf } from "./builders.ts";
import { ZONES_WITH_CHANGES } from "./schedule/arbitrary-cron.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
const NIGHTLY = { cron: "0 2 * * *", timezone: "UTC" };

const days = (amount: number): FiniteDuration => ({ amount, unit: "d" });
const fullAt = (at: string) => knownBackup(metadataOf({ id: backupId(1), at }));

/** A run of a schedule that is called at `now`, and made its last full backup for `madeFor`; `undefined`: another made it. */
function nightly(now: string, madeFor: string | undefined, timing = NIGHTLY) {
  const at = new Date(now);
  const dueTimeOf = () => (madeFor === undefined ? undefined : new Date(madeFor));
  return [at, { at: latestRun(timing, at), next: nextRun(timing, at), dueTimeOf }] as const;
}

describe("a schedule's own full backup", () => {
  it("comes each N days, whatever the jitter of its runs and its clock's changes", () => {
    const jitters = fc.array(fc.integer({ min: 0, max: 10 * MINUTE_MS }), { minLength: 40, maxLength: 40 });
    const crons = fc.constantFrom("0 2 * * *", "30 2 * * *", "0 0 * * *", "59 23 * * *");
    fc.assert(
      fc.property(
        ...[fc.constantFrom(...ZONES_WITH_CHANGES), crons, fc.integer({ min: 1, max: 9 }), jitters],
        ({ timezone, change }, cron, every, late) => {
          const timing = { cron, timezone };
          const fulls: number[] = [];
          let last: { readonly at: Date; readonly began: Date } | undefined;
          let at = nextRun(timing, new Date(change.getTime() - 20 * DAY_MS));
          for (const [run, jitter] of late.entries()) {
            const next = nextRun(timing, at);
            const now = new Date(at.getTime() + jitter);
            const known = last;
            const due = { at, next, dueTimeOf: () => known?.at };
            if (known === undefined || isFullDue(fullAt(known.began.toISOString()), days(every), now, due)) {
              last = { at, began: now };
              fulls.push(run);
            }
            at = next;
          }
          expect(fulls).toEqual(late.map((_, run) => run).filter((run) => run % every === 0));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("that was made up for late counts from the time that it was for", () => {
    const run = nightly("2026-01-18T02:00:00Z", "2026-01-11T02:00:00Z");

    expect(isFullDue(fullAt("2026-01-11T21:30:00.000Z"), days(7), ...run)).toBe(true);
  });

  it("is no nearer than its time where the schedule's times are far from it", () => {
    const half: FiniteDuration = { amount: 36, unit: "h" };
    const full = fullAt("2026-01-11T02:00:00.000Z");

    expect(isFullDue(full, half, ...nightly("2026-01-12T02:05:00Z", "2026-01-11T02:00:00Z"))).toBe(false);
    expect(isFullDue(full, half, ...nightly("2026-01-13T02:00:00Z", "2026-01-11T02:00:00Z"))).toBe(true);
  });

  it("of months comes each month, also after its clock was changed", () => {
    const timing = { cron: "0 2 * * *", timezone: "Europe/Berlin" };
    const run = nightly("2026-04-15T00:05:00Z", "2026-03-15T01:00:00Z", timing);

    expect(isFullDue(fullAt("2026-03-15T01:09:00.000Z"), { amount: 1, unit: "mo" }, ...run)).toBe(true);
  });
});

describe("another's full backup", () => {
  it("counts from when it was made, so that none is made just before the next of them", () => {
    const often = { cron: "*/15 * * * *", timezone: "UTC" };
    const full = fullAt("2026-01-11T02:00:30.000Z");

    expect(isFullDue(full, days(7), ...nightly("2026-01-18T02:00:01Z", undefined, often))).toBe(false);
    expect(isFullDue(full, days(7), ...nightly("2026-01-18T02:15:01Z", undefined, often))).toBe(true);
  });
});

describe("a run by hand", () => {
  const full = fullAt("2026-01-11T02:00:40.000Z");

  it("from an operator's own timer may be some minutes early", () => {
    expect(isFullDue(full, days(1), new Date("2026-01-12T02:00:02Z"))).toBe(true);
    expect(isFullDue(full, days(1), new Date("2026-01-12T01:45:02Z"))).toBe(false);
  });

  it("is by no more than a tenth", () => {
    expect(isFullDue(full, { amount: 1, unit: "h" }, new Date("2026-01-11T02:53:00Z"))).toBe(false);
  });

  it("needs none where one is kept for ever", () => {
    expect(isFullDue(full, "forever", new Date("2036-01-12T02:00:02Z"))).toBe(false);
  });
});
