import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { DamageError } from "../../src/format/block.ts";
import { encodeRoot, type ObjectEntry, parseRoot, type RootParts } from "../../src/format/root.ts";
import { backupId } from "../domain/builders.ts";

const HASH = "0123456789abcdef".repeat(4);
const OBJECT: ObjectEntry = {
  n: 0,
  origin: backupId(1),
  name: "app.pgdump.zst.enc",
  artifact_id: "0123456789abcdef0123456789abcdef",
  compression: "zstd",
  cipher: 1,
};
const ROOT: RootParts = {
  backupId: backupId(2),
  source: "app",
  kind: "pgdump",
  lineage: [
    { id: backupId(1), path: "database/daily/2026-01-11/full-02-00-00-00000001", checksum: `sha256:${HASH}` },
    { id: backupId(2), path: "database/incremental/2026-01-12/incremental-02-00-00-00000002" },
  ],
  objects: [OBJECT, { ...OBJECT, n: 1, origin: backupId(2), compression: "none", cipher: 0 }],
  chunks: [`["${HASH}",100,0,0,28,116,0]`, `["${HASH}",7,1,3,4000,500,20]`],
  indexSize: 107,
  indexSha256: HASH,
  size: 1_000_000,
};

/** The root's lines, one of them changed. */
function changed(line: number, change: (fields: Record<string, unknown>) => Record<string, unknown>): Buffer {
  const lines = encodeRoot(ROOT).toString().trimEnd().split("\n");
  const at = line < 0 ? lines.length + line : line;
  lines[at] = JSON.stringify(change(JSON.parse(lines[at]!)));
  return Buffer.from(`${lines.join("\n")}\n`);
}

const tuple = (...values: unknown[]) => changed(1, () => ({ chunks: [values, [HASH, 7, 1, 3, 4000, 500, 20]] }));
const object = (fields: Record<string, unknown>) =>
  changed(0, (first) => ({ ...first, objects: [{ ...OBJECT, ...fields }] }));

describe("a root", () => {
  it("is read as it was written", () => {
    const { chunks: _, ...facts } = ROOT;

    const { chunks, ...read } = parseRoot(encodeRoot(ROOT));

    expect(read).toEqual(facts);
    expect(chunks).toEqual([
      { sha256: HASH, length: 100, object: 0, pack: 0, blockOffset: 28, blockStored: 116, offsetInBlock: 0 },
      { sha256: HASH, length: 7, object: 1, pack: 3, blockOffset: 4000, blockStored: 500, offsetInBlock: 20 },
    ]);
  });

  it.each([0, 1, 512, 513, 2000])("of %i chunks has them all, at most 512 a line", (count) => {
    const chunks = Array.from({ length: count }, (_, i) => `["${HASH}",${i + 1},0,0,28,116,0]`);
    const bytes = encodeRoot({ ...ROOT, chunks });

    expect(parseRoot(bytes).chunks.map(({ length }) => length)).toEqual(chunks.map((_, i) => i + 1));
    expect(bytes.toString().trimEnd().split("\n")).toHaveLength(2 + Math.ceil(count / 512));
  });

  it("that is cut anywhere is damage", () => {
    const bytes = encodeRoot(ROOT);

    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseRoot(bytes.subarray(0, length))).toThrow(DamageError);
    }
  });

  it("that is any other text is damage, never another error", () => {
    const part = fc.oneof(
      fc.json(),
      fc.constantFrom("{", '{"version":1}', '{"end":true}', ...encodeRoot(ROOT).toString().split("\n")),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        try {
          parseRoot(Buffer.from(`${parts.join("\n")}\n`));
        } catch (error) {
          expect(error).toBeInstanceOf(DamageError);
        }
      }),
    );
  });

  it.each<[string, Buffer]>([
    ["another version", changed(0, (first) => ({ ...first, version: 2 }))],
    ["a version that is no text either", changed(0, (first) => ({ ...first, version: { toString: 1 } }))],
    ["no end", changed(-1, (last) => ({ ...last, end: false }))],
    ["fewer chunks than it says", changed(-1, (last) => ({ ...last, chunks: 3 }))],
    ["an id that is none", changed(0, (first) => ({ ...first, backup_id: "../.." }))],
    ["no source", changed(0, ({ source: _, ...first }) => first)],
    ["a lineage that is none", changed(0, (first) => ({ ...first, lineage: "full" }))],
    ["a member without path", changed(0, (first) => ({ ...first, lineage: [{ id: backupId(1) }] }))],
    ["a negative size", changed(-1, (last) => ({ ...last, size: -1 }))],
    ["a size that is no whole number", changed(-1, (last) => ({ ...last, index_size: 1.5 }))],
    ["a size beyond all numbers", changed(-1, (last) => ({ ...last, size: 2 ** 60 }))],
    ["another hash than SHA-256", changed(-1, (last) => ({ ...last, index_sha256: HASH.slice(2) }))],
    ["an object outside of its directory", object({ name: "../app.pgdump.zst.enc" })],
    ["objects out of order", object({ n: 1 })],
    ["an unknown compression", object({ compression: "brotli" })],
    ["a cipher by name", object({ cipher: "1" })],
    ["an artifact id that is too short", object({ artifact_id: "01" })],
    ["an origin that is no backup", object({ origin: "x" })],
    ["a chunk with six members", tuple(HASH, 100, 0, 0, 28, 116)],
    ["a chunk with eight members", tuple(HASH, 100, 0, 0, 28, 116, 0, 0)],
    ["a chunk whose hash is in capitals", tuple(HASH.toUpperCase(), 100, 0, 0, 28, 116, 0)],
    ["a chunk whose pack is a text", tuple(HASH, 100, 0, "0", 28, 116, 0)],
    ["a chunk that lies before its block", tuple(HASH, 100, 0, 0, 28, 116, -1)],
    ["a chunk of more than 16 MiB", tuple(HASH, 16 * 1024 ** 2 + 1, 0, 0, 28, 116, 0)],
    ["a block of more than 16 MiB and its overhead", tuple(HASH, 100, 0, 0, 28, 16 * 1024 ** 2 + 1025, 0)],
    ["a block that begins behind the end of a pack", tuple(HASH, 100, 0, 0, 32 * 1024 ** 2 + 1, 116, 0)],
    ["a pack with a number that no name has", tuple(HASH, 100, 0, 100_000_000, 28, 116, 0)],
  ])("with %s is damage", (_, bytes) => {
    expect(() => parseRoot(bytes)).toThrow(DamageError);
  });
});

test("the bytes of a root are those of the format", () => {
  expect(encodeRoot(ROOT).toString()).toBe(
    `{"version":1,"backup_id":"${backupId(2)}","source":"app","kind":"pgdump",` +
      `"lineage":[{"id":"${backupId(1)}","path":"database/daily/2026-01-11/full-02-00-00-00000001","checksum":"sha256:${HASH}"},` +
      `{"id":"${backupId(2)}","path":"database/incremental/2026-01-12/incremental-02-00-00-00000002"}],` +
      `"objects":[{"n":0,"origin":"${backupId(1)}","name":"app.pgdump.zst.enc","artifact_id":"${OBJECT.artifact_id}",` +
      `"compression":"zstd","cipher":1},{"n":1,"origin":"${backupId(2)}","name":"app.pgdump.zst.enc",` +
      `"artifact_id":"${OBJECT.artifact_id}","compression":"none","cipher":0}]}\n` +
      `{"chunks":[["${HASH}",100,0,0,28,116,0],["${HASH}",7,1,3,4000,500,20]]}\n` +
      `{"end":true,"chunks":2,"index_size":107,"index_sha256":"${HASH}","size":1000000}\n`,
  );
});
