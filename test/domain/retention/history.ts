import fc from "fast-check";
import type { BackupMetadata, BackupStatus, Category, Mode } from "../../../src/domain/backup.ts";
import type { KnownBackup } from "../../../src/domain/known-backup.ts";
import type { RetentionQuestion } from "../../../src/domain/retention/decide.ts";
import type { StoragePolicy } from "../../../src/domain/retention/policy.ts";
import { backupId, knownBackup, metadataOf, sourceOf } from "../builders.ts";

/** A history of a site, as runs, gaps, failures and verifications make it. */

export const STORAGE = "main";
export const START = Date.parse("2026-01-01T00:00:00.000Z");
const HOUR_MS = 3_600_000;

export const NO_RULES: StoragePolicy = { longer: {}, keep: { periods: {}, tags: [] }, maxBackups: undefined };

interface Step {
  readonly waitHours: number;
  readonly mode: Mode;
  readonly category: Category;
  readonly keptHours: number | undefined;
  readonly sources: readonly string[];
  readonly failed: readonly string[];
  readonly fate: "good" | "good" | "damaged" | "unproven" | "quarantined" | "held" | "verified" | "away" | "tagged";
}

const step: fc.Arbitrary<Step> = fc.record({
  // Most runs come one after the other; some after a gap of weeks.
  waitHours: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 30 }) }, fc.integer({ min: 300, max: 3000 })),
  mode: fc.constantFrom<Mode>("full", "incremental", "incremental", "differential"),
  category: fc.constantFrom<Category>("daily", "weekly", "monthly", "incremental", "snapshots", "manual"),
  keptHours: fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined, freq: 8 }),
  sources: fc.subarray(["app", "www", "settings"], { minLength: 1 }),
  failed: fc.subarray(["app", "www"], { maxLength: 1 }),
  fate: fc.constantFrom<Step["fate"]>(
    ...([
      "good",
      "good",
      "good",
      "good",
      "verified",
      "damaged",
      "unproven",
      "quarantined",
      "held",
      "away",
      "tagged",
    ] as const),
  ),
});

export const history: fc.Arbitrary<readonly KnownBackup[]> = fc
  .array(step, { minLength: 1, maxLength: 40 })
  .map(backupsOf);

function backupsOf(steps: readonly Step[]): readonly KnownBackup[] {
  const made: KnownBackup[] = [];
  let at = START;
  for (const [number, each] of steps.entries()) {
    at += each.waitHours * HOUR_MS;
    made.push(backupOf(each, number + 1, new Date(at).toISOString(), made));
  }
  return made;
}

function backupOf(each: Step, number: number, at: string, earlier: readonly KnownBackup[]): KnownBackup {
  // Without any sound source there would be no backup.
  const failed = each.sources.every((name) => each.failed.includes(name)) ? [] : each.failed;
  const sources = each.sources.map((name) => sourceOf(name, failed.includes(name) ? { status: "failed" } : {}));
  const parent = each.mode === "full" ? undefined : parentFor(each.mode, earlier);
  const status: BackupStatus = sources.some((source) => source.status === "failed") ? "partial" : "completed";
  const until = each.keptHours === undefined ? null : new Date(Date.parse(at) + each.keptHours * HOUR_MS).toISOString();
  const metadata = metadataOf({
    ...{ id: backupId(number), at, sources },
    type: each.sources.length > 1 ? "full" : (each.sources[0] ?? ""),
    mode: parent === undefined ? "full" : each.mode,
    category: each.category,
    ...(parent === undefined ? {} : { parent }),
    overrides: { status, retention_until: until, tags: each.fate === "tagged" ? ["release"] : [] },
  });
  return knownBackup(metadata, { copies: [{ storage: STORAGE, state: "complete" }], ...changesOf(each.fate, at) });
}

function parentFor(mode: Mode, earlier: readonly KnownBackup[]): BackupMetadata | undefined {
  const usable = earlier.flatMap(({ metadata, trusted }) => (trusted && metadata !== undefined ? [metadata] : []));
  return usable.findLast((metadata) => mode === "incremental" || metadata.mode === "full");
}

function changesOf(fate: Step["fate"], at: string): Partial<KnownBackup> {
  switch (fate) {
    case "damaged":
      return { notes: { verified: { at, depth: "full", passed: false, host: "web-1" } } };
    case "verified":
      return { notes: { verified: { at, depth: "full", passed: true, host: "web-1" } } };
    case "quarantined":
      return { notes: { quarantine: { reason: "half the size", at } } };
    case "held":
      return { notes: { hold: { reason: "audit", at, by: "root" } } };
    case "unproven":
      return { trusted: false };
    case "away":
      return { copies: [{ storage: STORAGE, state: "pending" }] };
    case "good":
    case "tagged":
      return {};
  }
}

const few = fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined });

export const policy: fc.Arbitrary<StoragePolicy> = fc.record({
  longer: fc.record(
    {
      daily: fc.constant("forever" as const),
      weekly: fc.integer({ min: 1, max: 90 }).map((amount) => ({ amount, unit: "d" as const })),
    },
    { requiredKeys: [] },
  ),
  keep: fc.record({
    last: few,
    periods: fc.record({ hourly: few, daily: few, weekly: few, monthly: few, yearly: few }),
    within: fc.option(
      fc.integer({ min: 1, max: 60 }).map((amount) => ({ amount, unit: "d" as const })),
      { nil: undefined },
    ),
    tags: fc.subarray(["release"]),
  }),
  maxBackups: few,
});

export const timezone = fc.constantFrom("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Auckland");

/** Some time after the last backup. */
export function questionOf(
  backups: readonly KnownBackup[],
  changes: Partial<RetentionQuestion<KnownBackup>> = {},
): RetentionQuestion<KnownBackup> {
  const last = Math.max(...backups.map(({ timestamp }) => Date.parse(timestamp)));
  return {
    ...{ backups, storage: STORAGE, policy: NO_RULES, sources: ["app", "www", "settings"] },
    ...{ now: new Date(last + HOUR_MS), timezone: "UTC" },
    ...changes,
  };
}
