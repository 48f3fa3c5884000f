import { describe, expect, it } from "vitest";
import type { BackupMetadata } from "../../src/domain/backup.ts";
import type { KnownBackup } from "../../src/domain/known-backup.ts";
import { chooseParent, type ParentRequest } from "../../src/domain/parent.ts";
import { backupId, knownBackup, metadataOf, sourceOf, uncommitted, unread } from "./builders.ts";

const full = metadataOf({ id: backupId(1), at: "2026-01-11T02:00:00.000Z" });
const second = metadataOf({
  id: backupId(2),
  at: "2026-01-12T02:00:00.000Z",
  mode: "incremental",
  category: "incremental",
  parent: full,
});
const third = metadataOf({
  id: backupId(3),
  at: "2026-01-13T02:00:00.000Z",
  mode: "incremental",
  category: "incremental",
  parent: second,
});

function choose(overrides: Partial<ParentRequest>, backups: readonly KnownBackup[] = known(full, second, third)) {
  return chooseParent({
    mode: "incremental",
    type: "database",
    sources: ["app"],
    backups,
    storage: "main",
    hasKey: () => true,
    maxChain: 100,
    fullEvery: { amount: 7, unit: "d" },
    now: new Date("2026-01-14T02:00:00.000Z"),
    ...overrides,
  });
}

function known(...all: readonly BackupMetadata[]): readonly KnownBackup[] {
  return all.map((metadata) => knownBackup(metadata));
}

describe("the parent", () => {
  it("is found without reading the metadata of backups that it is not built on", () => {
    const before = metadataOf({ id: backupId(9), at: "2026-01-10T02:00:00.000Z" });

    expect(choose({}, [unread(before), ...known(full, second, third)]).parent?.id).toBe(third.id);
  });

  it("of an incremental is the newest good backup, with every ancestor and its checksum in the lineage", () => {
    const decision = choose({});

    expect(decision).toMatchObject({ mode: "incremental", parent: { id: third.id } });
    expect(decision.reason).toBeUndefined();
    expect(decision.lineage).toEqual(
      [full, second, third].map(({ id, storage_path, checksum }) => ({ id, path: storage_path, checksum })),
    );
  });

  it("of a differential is the newest full backup", () => {
    const decision = choose({ mode: "differential" });

    expect(decision).toMatchObject({ mode: "differential", parent: { id: full.id } });
    expect(decision.lineage).toHaveLength(1);
  });

  it("of a full backup is none", () => {
    expect(choose({ mode: "full" })).toEqual({ mode: "full", lineage: [] });
  });

  it("is of the same type", () => {
    expect(choose({ type: "full" })).toMatchObject({ mode: "full", reason: "there is no backup of type full yet" });
    expect(choose({ type: "full", mode: "differential" })).toMatchObject({
      mode: "full",
      reason: "there is no full backup of type full yet",
    });
  });

  it("is not a run that committed nothing", () => {
    expect(choose({}, [uncommitted(backupId(9))])).toMatchObject({ mode: "full" });
    expect(
      choose({}, [...known(full), uncommitted(backupId(9), { timestamp: "2026-01-13T12:00:00.000Z" })]),
    ).toMatchObject({
      parent: { id: full.id },
    });
  });
});

describe("a backup is passed over, and the reason told", () => {
  it.each<[string, Partial<KnownBackup>, string]>([
    ["its mac was not verified", { trusted: false }, "its authenticity is not proven"],
    [
      "it is quarantined",
      { notes: { quarantine: { reason: "half the size", at: "2026-01-13T03:00:00Z" } } },
      "it is quarantined",
    ],
    [
      "its verification failed",
      { notes: { verified: { at: "2026-01-13T03:00:00Z", depth: "full", passed: false, host: "h" } } },
      "its last verification failed",
    ],
    ["it is being deleted", { status: "deleting" }, "its status is deleting"],
    ["its copy is damaged", { copies: [{ storage: "main", state: "damaged" }] }, "its copy in storage main is damaged"],
    [
      "it has a copy elsewhere only",
      { copies: [{ storage: "s3", state: "complete" }] },
      "its copy in storage main is missing",
    ],
  ])("when %s", (_what, overrides, reason) => {
    const backups = [...known(full, second), knownBackup(third, overrides)];

    expect(choose({}, backups)).toMatchObject({
      mode: "incremental",
      parent: { id: second.id },
      reason: `00000003 can't be built on: ${reason}`,
    });
  });

  it("when its key is not configured", () => {
    expect(choose({ hasKey: (backup) => backup.id !== third.id })).toMatchObject({
      parent: { id: second.id },
      reason: expect.stringContaining("key"),
    });
  });

  it("when an ancestor is missing, so that a full one is made", () => {
    expect(choose({}, known(second, third))).toMatchObject({
      mode: "full",
      lineage: [],
      reason: `00000003 can't be built on: its ancestor ${full.storage_path} is missing`,
    });
  });

  it("when an ancestor was never completed", () => {
    const backups = [...known(full, third), knownBackup(second, { committed: false })];

    expect(choose({}, backups)).toMatchObject({
      parent: { id: full.id },
      reason: "00000003 can't be built on: of its ancestor 00000002: it was never completed",
    });
  });

  it("when an ancestor is damaged", () => {
    const backups = [...known(full, third), knownBackup(second, { copies: [{ storage: "main", state: "damaged" }] })];

    expect(choose({}, backups)).toMatchObject({
      parent: { id: full.id },
      reason: "00000003 can't be built on: of its ancestor 00000002: its copy in storage main is damaged",
    });
  });

  it("when it lacks a source that an earlier one has", () => {
    const both = [sourceOf("app"), sourceOf("shop")];
    const whole = metadataOf({ id: backupId(1), at: "2026-01-11T02:00:00.000Z", sources: both });
    const partial = metadataOf({
      id: backupId(2),
      at: "2026-01-12T02:00:00.000Z",
      mode: "incremental",
      parent: whole,
      sources: [sourceOf("app"), sourceOf("shop", { status: "failed" })],
      overrides: { status: "partial" },
    });

    expect(choose({ sources: ["app", "shop"] }, known(whole, partial))).toMatchObject({
      parent: { id: whole.id },
      reason: "00000002 can't be built on: it lacks shop",
    });
    expect(choose({ sources: ["app"] }, known(whole, partial))).toMatchObject({ parent: { id: partial.id } });
    expect(choose({ sources: ["app", "new"] }, known(whole, partial))).toMatchObject({ parent: { id: partial.id } });
    expect(choose({ sources: ["new"] }, known(whole, partial))).toMatchObject({ mode: "full" });
  });
});

describe("the end of a lineage", () => {
  it("by max_chain makes an incremental differential", () => {
    expect(choose({ maxChain: 4 })).toMatchObject({ mode: "incremental" });
    expect(choose({ maxChain: 3 })).toMatchObject({
      mode: "differential",
      parent: { id: full.id },
      reason: "the chain has reached 3 backups (max_chain)",
    });
    expect(choose({ maxChain: 1 })).toMatchObject({ mode: "full", reason: expect.stringContaining("max_chain") });
  });

  it.each(["incremental", "differential"] as const)("by full_every makes a full one of an %s", (mode) => {
    const oneWeekOn = new Date("2026-01-18T02:00:00.000Z");

    const tenMinutesEarly = new Date(oneWeekOn.getTime() - 600_000);

    expect(choose({ mode, now: new Date(tenMinutesEarly.getTime() - 1) })).toMatchObject({ mode });
    expect(choose({ mode, now: tenMinutesEarly })).toEqual({
      mode: "full",
      lineage: [],
      reason: "the full backup 00000001 has reached 7 days (full_every)",
    });
    expect(choose({ mode, fullEvery: "forever", now: new Date("2027-01-18T02:00:00.000Z") })).toMatchObject({ mode });
  });
});

it("refuses a clock that is behind the parent's completion", () => {
  expect(() => choose({ now: new Date("2026-01-13T02:00:30.000Z") })).toThrow(
    expect.objectContaining({ code: "CLOCK_SKEWED", message: expect.stringContaining(third.id) }),
  );
});
