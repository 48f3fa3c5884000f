import { describe, expect, it } from "vitest";
import type { SourceMetadata } from "../../src/domain/backup.ts";
import { copyDefect, lagOf, packsOf } from "../../src/domain/copies.ts";
import { roomFor } from "../../src/domain/room.ts";

const data = { artifact_id: "00", name: "www.tree.zst.enc", packs: [100, 20] };
const metadata = { sources: [{ name: "www", data } as unknown as SourceMetadata], key_id: "aa" };
const WHOLE = {
  "www.tree.zst.enc.00000000": 100,
  "www.tree.zst.enc.00000001": 20,
  SHA256SUMS: 200,
  "keys-1-0123abcd.json": 300,
  "metadata.json": 400,
};

it("knows the packs and their sizes", () => {
  expect([...packsOf(metadata)]).toEqual(Object.entries(WHOLE).slice(0, 2));
});

describe("a copy", () => {
  const without = (name: string) => Object.fromEntries(Object.entries(WHOLE).filter(([each]) => each !== name));

  it.each<[string, Readonly<Record<string, number>>, string | undefined]>([
    ["with all is complete", WHOLE, undefined],
    ["with more is complete", { ...WHOLE, "notes-0-0123abcd.json": 1 }, undefined],
    ["that is being deleted is not", { ...WHOLE, "deleted.json": 1 }, "it is being deleted"],
    ["without metadata is not", without("metadata.json"), "its object metadata.json is missing"],
    ["without sums is not", without("SHA256SUMS"), "its object SHA256SUMS is missing"],
    ["without a pack is not", without("www.tree.zst.enc.00000001"), "www.tree.zst.enc.00000001 is missing"],
    ["with half a pack is not", { ...WHOLE, "www.tree.zst.enc.00000000": 50 }, "has 50 bytes instead of 100"],
    ["without keys is not", without("keys-1-0123abcd.json"), "its keys are missing"],
  ])("%s", (_, objects, defect) => {
    const found = copyDefect(metadata, new Map(Object.entries(objects)));
    if (defect === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(defect);
  });

  it("of a backup that has no key needs none", () => {
    expect(
      copyDefect({ ...metadata, key_id: null }, new Map(Object.entries(without("keys-1-0123abcd.json")))),
    ).toBeUndefined();
  });
});

it("counts what a storage lacks", () => {
  const backups = ["2026-01-02", "2026-01-01", "2026-01-03"].map((timestamp) => ({
    timestamp,
    metadata: { stored_size: 10 } as never,
  }));

  expect(lagOf(backups, ({ timestamp }) => timestamp === "2026-01-01")).toEqual({
    backups: 2,
    bytes: 20,
    oldest: "2026-01-02",
  });
  const unread = { timestamp: "2026-01-04", metadata: undefined };
  expect(lagOf([unread], () => false)).toEqual({ backups: 1, bytes: 0, oldest: "2026-01-04" });
  expect(lagOf(backups, () => true)).toEqual({ backups: 0, bytes: 0, oldest: undefined });
});

it.each([
  [undefined, 10e9, "enough"],
  [500_000, undefined, "none"],
  [2_000_000, undefined, "enough"],
  [4e9, 10e9, "none"],
  [6e9, 10e9, "doubtful"],
  [10e9, 10e9, "enough"],
])("of %s bytes free and %s expected there is %s room", (free, expected, verdict) => {
  expect(roomFor(free, expected)).toBe(verdict);
});
