import { expect, test } from "vitest";
import { isKnownDamaged, newestFirst } from "../../src/domain/known-backup.ts";
import { backupId, knownBackup, metadataOf } from "./builders.ts";

test("backups are ordered from the newest to the oldest, those of one time by their ids", () => {
  const [one, two] = [1, 2].map((n) => knownBackup(metadataOf({ id: backupId(n) })));
  const later = knownBackup(metadataOf({ id: backupId(3), at: "2026-01-12T02:00:00.000Z" }));
  if (one === undefined || two === undefined) throw new Error("two were made");

  expect([two, one, later].sort(newestFirst)).toEqual([later, one, two]);
});

test.each([
  ["whose verification failed", true, ["complete"], { verified: { at: "", depth: "full", passed: false, host: "" } }],
  ["of which each copy that is left is damaged", true, ["missing", "damaged"], {}],
  ["of which a copy is sound", false, ["damaged", "complete"], {}],
  ["that is on its way", false, ["pending"], {}],
] as const)("a backup %s is known to be damaged: %s", (_, isDamaged, states, notes) => {
  const copies = states.map((state, i) => ({ storage: `storage-${i}`, state }));
  const backup = knownBackup(metadataOf({ id: backupId(1) }), { copies, notes });

  expect(isKnownDamaged(backup)).toBe(isDamaged);
  expect(isKnownDamaged({ ...backup, status: "unreadable" })).toBe(false);
});
