import { expect, it } from "vitest";
import { findOrphans } from "../../src/domain/orphans.ts";

const NOW = new Date("2026-03-20T12:00:00Z");
const PACK = "www.tree.zst.enc.00000000";
const OLD = "2026-03-13T11:59:59Z";
const YOUNG = "2026-03-13T12:00:00Z";

/** The names in one directory, as each storage has them, and when they were written. */
const CASES: readonly (readonly [
  what: string,
  found: boolean,
  storages: readonly Readonly<Record<string, string>>[],
])[] = [
  ["packs left alone for the grace", true, [{ [PACK]: OLD }]],
  ["packs in one storage of two", true, [{}, { [PACK]: OLD }]],
  ["half a deletion", true, [{ "deleted.json": OLD, "keys-1-0a1b2c3d.json": OLD, SHA256SUMS: OLD, [PACK]: OLD }]],
  ["packs within the grace", false, [{ [PACK]: YOUNG }]],
  ["one pack within the grace", false, [{ "www.tree.zst.enc.00000001": YOUNG, [PACK]: OLD }]],
  ["packs within the grace in another storage", false, [{ [PACK]: OLD }, { [PACK]: YOUNG }]],
  ["packs that are written tomorrow", false, [{ [PACK]: "2026-03-21T12:00:00Z" }]],
  ["packs beside somebody's own file", false, [{ [PACK]: OLD, "README.txt": OLD }]],
  ["somebody's own file alone", false, [{ "backup.tar": OLD }]],
  ["a backup", false, [{ [PACK]: OLD, "metadata.json": OLD }]],
  ["a backup that is whole in another storage", false, [{ [PACK]: OLD }, { [PACK]: OLD, "metadata.json": OLD }]],
  ["a backup that is being deleted", false, [{ "deleted.json": OLD, "metadata.json": OLD }]],
  ["a backup that lost its metadata", false, [{ [PACK]: OLD, SHA256SUMS: OLD, "keys-1-0a1b2c3d.json": OLD }]],
  ["an unencrypted one that lost its metadata", false, [{ [PACK]: OLD, SHA256SUMS: OLD }]],
];

it.each(CASES)("%s: an orphan is %s", (_, found, storages) => {
  const directory = "full/daily/2026-03-12/full-12-00-00-0a1b2c3d";
  const seen = storages.map((names) => {
    const objects = Object.entries(names).map(([name, at]) => ({ name, modifiedAt: new Date(at) }));
    return new Map(objects.length === 0 ? [] : [[directory, objects]]);
  });
  expect(findOrphans(seen, { amount: 7, unit: "d" }, NOW)).toEqual(found ? [directory] : []);
});
