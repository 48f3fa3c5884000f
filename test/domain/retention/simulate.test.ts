import { describe, expect, it } from "vitest";
import type { Mode } from "../../../src/domain/backup.ts";
import type { FiniteDuration } from "../../../src/domain/duration.ts";
import {
  type PlannedRun,
  type SimulatedDay,
  type SimulationRequest,
  simulate,
} from "../../../src/domain/retention/simulate.ts";
import type { RetentionDurations } from "../../../src/domain/retention-until.ts";
import { backupId, knownBackup, metadataOf, sourceOf } from "../builders.ts";
import { NO_RULES, STORAGE } from "./history.ts";

const START = new Date("2026-01-01T00:00:00.000Z");
const MiB = 2 ** 20;

const template = metadataOf({ id: backupId(0xffff), at: "2025-12-31T23:00:00.000Z", type: "full" });

function* every(minutes: number, mode: Mode): Generator<PlannedRun, never> {
  const kind = { schedule: "often", type: "full", mode, sources: ["app"], fullEvery: d(7) };
  for (let at = START.getTime() + 60_000; ; at += minutes * 60_000) {
    yield { ...kind, at: new Date(at), next: new Date(at + minutes * 60_000) };
  }
}

const d = (amount: number, unit: "d" | "w" | "mo" = "d"): FiniteDuration => ({ amount, unit });

const DURATIONS: RetentionDurations = {
  ...{ incremental: d(7), daily: d(30), weekly: d(12, "w"), monthly: d(12, "mo"), yearly: undefined },
  ...{ snapshots: d(90), manual: "forever" },
};

function* eachDay(times = 1): Generator<Date, never> {
  const step = 86_400_000 / times;
  for (let at = START.getTime() + step; ; at += step) yield new Date(at);
}

function daysOf(length: number, changes: Partial<SimulationRequest>): readonly SimulatedDay[] {
  const request: SimulationRequest = {
    ...{ backups: [], runs: every(1440, "full"), template, keepsYears: false, maxChain: 100, sources: ["app"] },
    storages: [{ name: STORAGE, policy: NO_RULES, isArchive: false }],
    primary: STORAGE,
    dueTimeOf: () => undefined,
    ...{ cleanups: eachDay(), maxDeletePercent: 100, wasRead: () => false },
    bytesOf: (_type, mode) => (mode === "full" ? 1000 * MiB : MiB),
    durations: DURATIONS,
    ...{ now: START, timezone: "Europe/Berlin", ...changes },
  };
  return simulate(request, length);
}

describe("a simulated course", () => {
  it("of a full backup every night comes to the number that the periods say", () => {
    const days = daysOf(800, {});
    const last = days.at(-1)?.storages[0];

    // 30 days, and of them 4 or 5 Mondays and the first of a month; 8 or so older weeks; 11 older months.
    expect(last?.backups).toBeGreaterThan(44);
    expect(last?.backups).toBeLessThan(54);
    expect(last).toMatchObject({ full: last?.backups, bytes: (last?.backups ?? 0) * 1000 * MiB });
    expect(last?.oldest?.slice(0, 7)).toBe("2027-04");
  });

  it("begins with what is there, which goes in its time", () => {
    const old = knownBackup(
      metadataOf({
        ...{ id: backupId(0xabcd), at: "2025-12-31T02:00:00.000Z", type: "full", sources: [sourceOf("app")] },
        overrides: { retention_until: "2026-01-10T02:00:00.000Z" },
      }),
    );

    const counts = daysOf(12, { backups: [old] }).map(({ storages }) => storages[0]?.backups);

    expect(counts).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12]);
  });

  it("keeps in each storage what its own rules say, and brings the months alone to an archive", () => {
    const keep = { ...NO_RULES.keep, last: 50 };
    const storages = [
      { name: "main", policy: { ...NO_RULES, maxBackups: 5 }, isArchive: false },
      { name: "second", policy: { ...NO_RULES, keep }, isArchive: false },
      { name: "vault", policy: NO_RULES, isArchive: true },
    ];

    const last = daysOf(100, { storages, primary: "main", cleanups: eachDay(2) }).at(-1);

    expect(last?.storages.map(({ backups }) => backups)).toEqual([5, expect.any(Number), 4]);
    expect(last?.storages[1]?.backups).toBeGreaterThanOrEqual(50);
  });

  it("moves months to an archive when their time is over, which grows by each of them", () => {
    const storages = [
      { name: STORAGE, policy: NO_RULES, isArchive: false },
      { name: "vault", policy: { ...NO_RULES, longer: { monthly: "forever" as const } }, isArchive: true },
    ];
    const durations = { ...DURATIONS, monthly: d(40) };

    const days = daysOf(365, { storages, durations });

    const inVault = days.map((day) => day.storages[1]?.backups ?? 0);
    expect([inVault[40], inVault[41], inVault[90], inVault.at(-1)]).toEqual([1, 1, 2, 11]);
    expect(days.at(-1)?.storages[1]?.oldest).toBe("2026-01-01T00:01:00.000Z");
  });

  it("brings an ancestor to an archive with a month that needs it, and nothing that was read there", () => {
    const week = metadataOf({ id: backupId(0xa), at: "2025-11-01T02:00:00.000Z", category: "weekly" });
    const month = metadataOf({ id: backupId(0xb), at: "2025-11-02T02:00:00.000Z", mode: "incremental", parent: week });
    const read = metadataOf({ id: backupId(0xc), at: "2025-11-03T02:00:00.000Z" });
    const over = { retention_until: "2025-12-01T02:00:00.000Z" };
    const complete = (storage: string) => ({ storage, state: "complete" }) as const;
    const backups = [
      knownBackup({ ...read, ...over, category: "monthly" }, { copies: [complete(STORAGE), complete("vault")] }),
      knownBackup({ ...month, ...over, category: "monthly" }),
      knownBackup({ ...week, ...over }),
    ];
    const storages = [
      { name: STORAGE, policy: NO_RULES, isArchive: false },
      { name: "vault", policy: { ...NO_RULES, longer: { monthly: "forever" as const } }, isArchive: true },
    ];
    const asked: string[] = [];
    const wasRead = (id: string, archive: string): boolean => asked.push(`${archive} ${id}`) > 0 && id === read.id;

    const [first] = daysOf(1, { backups, storages, wasRead });

    expect(first?.storages.map(({ backups: held, removed }) => [held, removed])).toEqual([
      [1, 3],
      [3, 0],
    ]);
    expect(asked).toEqual([`vault ${read.id}`]);
  });

  it("does nothing where a cleanup is refused, and says since when", () => {
    const weekly = function* (): Generator<Date> {
      for (let at = START.getTime() + 3 * 86_400_000; ; at += 7 * 86_400_000) yield new Date(at);
    };
    const durations = { ...DURATIONS, daily: d(14), weekly: d(14), monthly: d(14) };

    const days = daysOf(60, { cleanups: weekly(), durations, maxDeletePercent: 20 });

    expect(days.at(-1)).toMatchObject({
      refused: {
        brake: { kind: "max-delete", text: expect.stringMatching(/^\d+ of \d+ backups .*max_delete is 20 %$/) },
      },
      storages: [{ backups: 57, removed: 0 }],
    });
    const refusedFrom = days.findIndex(({ refused }) => refused !== undefined);
    expect(days[refusedFrom]?.refused).toEqual(days.at(-1)?.refused);
    expect(daysOf(60, { cleanups: weekly(), durations, maxDeletePercent: 100 }).at(-1)?.refused).toBeUndefined();
  });

  it("goes on with the chain that is there, until its full backup is too old", () => {
    const full = metadataOf({ id: backupId(0xa), at: "2025-12-29T02:00:00.000Z", type: "full" });
    const made = [
      metadataOf({
        id: backupId(0xb),
        at: "2025-12-30T02:00:00.000Z",
        type: "full",
        mode: "incremental",
        parent: full,
      }),
      full,
    ].map((metadata) => knownBackup(metadata));

    const days = daysOf(8, { backups: made, runs: every(1440, "incremental") });

    expect(days.map(({ storages }) => storages[0]?.full)).toEqual([1, 1, 1, 1, 1, 2, 2, 2]);
  });

  it("of differentials has each build on the last full one", () => {
    const days = daysOf(9, { runs: every(1440, "differential") });

    expect(days.map(({ storages }) => [storages[0]?.backups, storages[0]?.full])).toEqual([
      ...[1, 2, 3, 4, 5, 6, 7].map((backups) => [backups, 1]),
      [8, 2],
      // The first differential has expired.
      [8, 2],
    ]);
  });

  it("keeps the first of a year for years where the config names them", () => {
    const [month, year] = [false, true].map((keepsYears) => {
      const durations = { ...DURATIONS, yearly: { amount: 7, unit: "y" } } as const;
      return daysOf(800, { keepsYears, durations }).at(-1)?.storages[0]?.oldest;
    });

    expect([month?.slice(0, 7), year?.slice(0, 10)]).toEqual(["2027-04", "2026-01-01"]);
  });

  it("of a year with an incremental every 15 minutes stays bounded, and takes seconds", () => {
    const started = performance.now();
    const before = process.memoryUsage().heapUsed;
    let most = 0;
    let made = 0;
    const days = daysOf(365, { runs: counted(every(15, "incremental"), () => made++) });
    for (const { storages } of days) most = Math.max(most, storages[0]?.backups ?? 0);
    const last = days.at(-1)?.storages[0];

    expect(made).toBeGreaterThan(35_000);
    // Two weeks of 96 a day at most, since a chain goes only with its last, and the full ones of a year.
    expect(most).toBeLessThan(2 * 7 * 96 + 60);
    expect(last?.full).toBeLessThan(40);
    expect(days.slice(30).every(({ storages }) => (storages[0]?.backups ?? 0) > 7 * 96)).toBe(true);
    // By hand: what is no full backup takes 1 MiB, whatever builds on what.
    for (const { storages } of days) {
      const { backups = 0, full = 0, bytes = 0 } = storages[0] ?? {};
      expect(bytes).toBe((full * 1000 + (backups - full)) * MiB);
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(400 * MiB);
    // Said, not asserted: it depends on the machine.
    console.info(
      `a year of ${made} backups: at most ${most} at once, ${Math.round((last?.bytes ?? 0) / MiB)} MiB in the end, ` +
        `${((performance.now() - started) / 1000).toFixed(1)} s, ${Math.round((process.memoryUsage().heapUsed - before) / MiB)} MiB of heap`,
    );
  }, 120_000);
});

function* counted<T>(items: Generator<T, never>, count: () => void): Generator<T, never> {
  for (;;) {
    count();
    yield items.next().value;
  }
}
