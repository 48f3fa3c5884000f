import { describe, expect, it } from "vitest";
import type { BackupMetadata } from "../../src/domain/backup.ts";
import type { KnownBackup } from "../../src/domain/known-backup.ts";
import { chooseRestorePoint, type RestorePoint, type RestorePointRequest } from "../../src/domain/restore-point.ts";
import { backupId, knownBackup, metadataOf, sourceOf, uncommitted, unread } from "./builders.ts";

const first = metadataOf({
  id: backupId(1),
  at: "2026-01-11T02:00:00.000Z",
  sources: [sourceOf("app"), sourceOf("shop")],
});
const second = metadataOf({
  id: backupId(2),
  at: "2026-01-12T02:00:00.000Z",
  type: "full",
  sources: [sourceOf("app"), sourceOf("shop", { status: "failed" })],
  overrides: { status: "partial" },
});
const backups = [first, second].map((metadata) => knownBackup(metadata));

type Request = RestorePointRequest<KnownBackup>;

function choose(request: Partial<Request> & Pick<Request, "backups">): RestorePoint<KnownBackup> {
  return chooseRestorePoint({ sources: [], isDamaged: () => false, ...request });
}

it.each([
  ["the newest", {}, 2],
  ["the newest with a source that failed in the last", { sources: ["app", "shop"] }, 1],
  ["the newest of a type", { type: "database" }, 1],
  ["the one at that very moment", { at: new Date("2026-01-12T02:00:00.000Z") }, 2],
  ["the one before", { at: new Date("2026-01-12T01:59:59.999Z") }, 1],
])("takes %s", (_what, request, number) => {
  expect(choose({ backups, sources: [], ...request }).backup.id).toBe(backupId(number));
});

it("reads the metadata of no older backup", () => {
  const older = unread(first);

  expect(choose({ backups: [older, knownBackup(second)], sources: ["app"] }).backup.id).toBe(second.id);
});

it("tells the gap to the time asked for", () => {
  expect(choose({ backups, sources: [], at: new Date("2026-01-12T02:15:00.000Z") }).gapMs).toBe(15 * 60_000);
  expect(choose({ backups, sources: [] })).not.toHaveProperty("gapMs");
});

it.each([
  ["unproven ones", { trusted: false }],
  ["quarantined ones", { notes: { quarantine: { reason: "small", at: "2026-01-12T03:00:00Z" } } }],
  ["ones being deleted", { status: "deleting" as const }],
])("passes over %s", (_what, overrides) => {
  const doubtful = [knownBackup(first), knownBackup(second, overrides), uncommitted(backupId(3))];

  expect(choose({ backups: doubtful, sources: [] }).backup.id).toBe(first.id);
});

it("passes over one that holds only some of the tables, which by itself would look whole", () => {
  const narrowed = metadataOf({
    id: backupId(3),
    at: "2026-01-13T02:00:00.000Z",
    sources: [sourceOf("app", { narrowed: true })],
  });

  expect(choose({ backups: [...backups, knownBackup(narrowed)], sources: [] }).backup.id).toBe(second.id);
});

it("names the nearest backup after the time when there is none before", () => {
  expect(() => choose({ backups, sources: ["app"], at: new Date("2026-01-01T00:00:00.000Z") })).toThrow(
    expect.objectContaining({
      code: "BACKUP_NOT_FOUND",
      exitCode: 10,
      message: "there is no good backup with app at or before 2026-01-01T00:00:00.000Z",
      hint: expect.stringContaining(first.id),
      data: { nearestAfter: { id: first.id, timestamp: first.timestamp } },
    }),
  );
});

it("says so when no backup has the source at all", () => {
  expect(() => choose({ backups, sources: ["wiki"], type: "full" })).toThrow(
    expect.objectContaining({ code: "BACKUP_NOT_FOUND", message: "there is no good backup of type full with wiki" }),
  );
});

describe("with backups that build on others", () => {
  const day = (number: number, parent?: BackupMetadata): BackupMetadata =>
    metadataOf({ id: backupId(number), at: `2026-01-1${number}T02:00:00.000Z`, ...(parent && { parent }) });
  const full = day(3);
  const child = day(4, full);
  const grandchild = day(5, child);
  const chain = [full, child, grandchild].map((metadata) => knownBackup(metadata));

  it.each([
    ["none", [], grandchild, []],
    ["its own", [grandchild], child, [grandchild]],
    ["its parent's", [child], full, [grandchild, child]],
  ])("passes over what is or builds on damage, and tells of it: %s", (_, damaged, chosen, over) => {
    const point = choose({ backups: chain, isDamaged: (id) => damaged.some((each) => each.id === id) });

    expect(point.backup.id).toBe(chosen.id);
    expect(point.onDamage).toEqual(over.map(({ id }) => ({ id, damaged: damaged[0]?.id })));
  });

  it("takes the newest where all are damaged or build on that, and tells of that", () => {
    const { backup, onDamage } = choose({ backups: chain, isDamaged: (id) => id === full.id });

    expect(backup.id).toBe(grandchild.id);
    expect(onDamage).toEqual([{ id: grandchild.id, damaged: full.id }]);
  });
});
