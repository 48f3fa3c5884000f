import { expect, test } from "vitest";
import { newestFirst } from "../../src/domain/known-backup.ts";
import { backupId, knownBackup, metadataOf } from "./builders.ts";

test("backups are ordered from the newest to the oldest, those of one time by their ids", () => {
  const [one, two] = [1, 2].map((n) => knownBackup(metadataOf({ id: backupId(n) })));
  const later = knownBackup(metadataOf({ id: backupId(3), at: "2026-01-12T02:00:00.000Z" }));
  if (one === undefined || two === undefined) throw new Error("two were made");

  expect([two, one, later].sort(newestFirst)).toEqual([later, one, two]);
});
