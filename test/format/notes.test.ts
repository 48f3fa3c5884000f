import { describe, expect, it } from "vitest";
import type { BackupNotes } from "../../src/domain/backup.ts";
import { decodeNotes, encodeNotes, mergeNotes } from "../../src/format/notes.ts";
import { backupId } from "../domain/builders.ts";

const id = backupId(1);
const backup = { id, timestamp: "2026-01-11T02:00:00.000Z" };
const macKey = Buffer.alloc(32, 5);
const hold = { reason: "audit", at: "2026-01-12T00:00:00.000Z", by: "root" };
const verified = { at: "2026-01-12T00:00:00.000Z", depth: "full", passed: true, host: "web-1" } as const;
const quarantine = { reason: "half the size", at: "2026-01-12T00:00:00.000Z" };
const everything: BackupNotes = {
  hold,
  tags: ["a", "b"],
  description: "text",
  retention_until: "2026-03-01T00:00:00.000Z",
  quarantine,
  verified,
};

describe("a notes object", () => {
  it.each([everything, {}])("comes back as it was written: %j", (notes) => {
    const object = encodeNotes({ backupId: id, n: 3, notes, macKey });

    expect(object.name).toMatch(/^notes-3-[0-9a-f]{8}\.json$/);
    expect(decodeNotes(object, backup, macKey)).toEqual({ n: 3, notes, verified: true, changed: false });
  });

  it("has a name of its own even if two hosts write the same number", () => {
    const names = Array.from({ length: 20 }, () => encodeNotes({ backupId: id, n: 1, notes: {}, macKey }).name);

    expect(new Set(names).size).toBe(20);
  });

  it("is not verified by another key, without one, or after a change", () => {
    const object = encodeNotes({ backupId: id, n: 3, notes: everything, macKey });
    const changed = { name: object.name, bytes: Buffer.from(object.bytes.toString().replace("audit", "other")) };

    expect(decodeNotes(object, backup, Buffer.alloc(32)).verified).toBe(false);
    expect(decodeNotes(object, backup, undefined).verified).toBe(false);
    expect(decodeNotes(changed, backup, macKey)).toMatchObject({
      verified: false,
      notes: { hold: { reason: "other" } },
    });
  });

  it("was changed if its mac is wrong, and not if somebody without the key wrote it", () => {
    const object = encodeNotes({ backupId: id, n: 3, notes: everything, macKey });
    const changed = { name: object.name, bytes: Buffer.from(object.bytes.toString().replace("audit", "other")) };
    const keyless = encodeNotes({ backupId: id, n: 3, notes: everything, macKey: undefined });

    expect(decodeNotes(changed, backup, macKey).changed).toBe(true);
    expect(decodeNotes(keyless, backup, macKey).changed).toBe(false);
    expect(decodeNotes(object, backup, undefined).changed).toBe(false);
  });

  it.each([
    ["another backup", (name: string) => name, backupId(2)],
    ["another number", () => "notes-4-00000000.json", id],
    ["no number", () => "notes.json", id],
  ])("that belongs to %s is damaged", (_what, rename, expected) => {
    const object = encodeNotes({ backupId: id, n: 3, notes: {}, macKey });

    expect(() => decodeNotes({ ...object, name: rename(object.name) }, { ...backup, id: expected }, macKey)).toThrow(
      expect.objectContaining({ code: "BACKUP_CORRUPTED" }),
    );
  });

  it.each([
    ["nothing", ""],
    ["no mac", `{"version":1,"backup_id":"${id}","n":3}`],
    ["a mac that is no text", `{"version":"1","backup_id":"${id}","n":3,"mac":{"toString":1}}`],
    ["an unknown fact", `{"version":1,"backup_id":"${id}","n":3,"mac":"sha256:${"0".repeat(64)}","x":1}`],
  ])("of %s is refused", (_what, text) => {
    expect(() => decodeNotes({ name: "notes-3-00000000.json", bytes: Buffer.from(text) }, backup, macKey)).toThrow(
      expect.objectContaining({ code: "BACKUP_CORRUPTED" }),
    );
  });

  it.each([macKey, undefined])("whose version alone was changed is damaged", (key) => {
    const object = encodeNotes({ backupId: id, n: 3, notes: everything, macKey: key });

    for (const version of ["0", "2", "3", "9", "null"]) {
      const bytes = Buffer.from(object.bytes.toString().replace('"version": 1', `"version": ${version}`));
      expect(() => decodeNotes({ ...object, bytes }, backup, key)).toThrow(
        expect.objectContaining({ code: "BACKUP_CORRUPTED", message: expect.stringContaining(`says ${version}`) }),
      );
    }
  });

  it("of a later version is a hold that nobody proves", () => {
    const object = { name: "notes-3-00000000.json", bytes: Buffer.from('{"version":2,"released":true}') };

    const decoded = decodeNotes(object, backup, macKey);

    expect(decoded).toMatchObject({
      n: 3,
      verified: false,
      changed: false,
      unknown: expect.stringContaining("version 2"),
    });
    expect(mergeNotes([decoded], null)).toMatchObject({ hold: { reason: decoded.unknown, at: backup.timestamp } });
  });
});

describe("the notes in force", () => {
  const of = (n: number, notes: BackupNotes, proven = true) => ({ n, notes, verified: proven, changed: false });

  it.each<[string, Parameters<typeof mergeNotes>[0], BackupNotes]>([
    ["are none where there are none", [], {}],
    ["are those of the highest number", [of(2, { tags: ["new"] }), of(1, everything)], { tags: ["new"] }],
    [
      "are the union of equals",
      [of(1, { tags: ["b"] }), of(1, { tags: ["a", "b"], hold })],
      { tags: ["a", "b"], hold },
    ],
    ["are the tags that one of equals has", [of(1, { tags: ["a"] }), of(1, { hold })], { tags: ["a"], hold }],
    [
      "are the longer retention of equals",
      [of(1, { retention_until: "2026-03-01T00:00:00Z" }), of(1, { retention_until: "2026-02-01T00:00:00Z" })],
      { retention_until: "2026-03-01T00:00:00Z" },
    ],
    [
      "are the newer verification of equals",
      [of(1, { verified }), of(1, { verified: { ...verified, at: "2026-01-13T00:00:00Z", passed: false } })],
      { verified: { ...verified, at: "2026-01-13T00:00:00Z", passed: false } },
    ],
    [
      "are the earlier hold and quarantine of equals",
      [
        of(1, { hold, quarantine }),
        of(1, {
          hold: { ...hold, at: "2026-01-13T00:00:00Z" },
          quarantine: { ...quarantine, reason: "twice the size" },
        }),
      ],
      { hold, quarantine },
    ],
    [
      "are of equals the description that all hosts would choose",
      [of(1, { description: "a" }), of(1, { description: "b" })],
      { description: "b" },
    ],
    [
      "shorten the retention if they are proven",
      [of(1, { retention_until: "2026-01-15T00:00:00Z" })],
      { retention_until: "2026-01-15T00:00:00Z" },
    ],
    [
      "keep by unproven ones: a hold and a longer retention, nothing else",
      [of(1, { tags: ["a"] }), of(2, everything, false)],
      { tags: ["a"], hold, retention_until: "2026-03-01T00:00:00.000Z" },
    ],
    ["never shorten by unproven ones", [of(1, {}), of(2, { retention_until: "2026-01-15T00:00:00Z" }, false)], {}],
    ["never release by unproven ones", [of(1, { hold }), of(9, {}, false)], { hold }],
    ["forget unproven ones that a proven one replaced", [of(3, {}), of(2, { hold }, false)], {}],
    ["keep by any when none is proven", [of(9, {}, false), of(1, { hold }, false)], { hold }],
  ])("%s", (_what, all, expected) => {
    expect(mergeNotes(all, "2026-02-01T00:00:00.000Z")).toEqual(expected);
    expect(mergeNotes([...all].reverse(), "2026-02-01T00:00:00.000Z")).toEqual(expected);
  });

  it("give no end to a backup that has none", () => {
    expect(mergeNotes([of(1, { retention_until: "2026-03-01T00:00:00Z" }, false)], null)).toEqual({});
  });
});
