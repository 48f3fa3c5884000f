import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Archive, createArchiveReader } from "../../../src/engines/postgres/custom-archive.ts";
import { writeArchive } from "./archive-writer.ts";

const fixtures = join(import.meta.dirname, "../../fixtures/postgres");
const small = readFileSync(join(fixtures, "small-pg15.dump"));
const gzipped = readFileSync(join(fixtures, "small-pg15-gzip.dump"));

function readWhole(bytes: Buffer, pieceBytes = bytes.length): Archive {
  const reader = createArchiveReader();
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  return reader.end();
}

function rowsByTag(archive: Archive): Record<string, number> {
  const tags = new Map(archive.toc.map((entry) => [entry.dumpId, entry.tag]));
  return Object.fromEntries(archive.blocks.map((block) => [tags.get(block.dumpId) ?? "", block.rows]));
}

describe("an archive that pg_dump 15 wrote", () => {
  it("is read with its header, its objects and the rows of each table", () => {
    const archive = readWhole(small);

    expect(archive.header).toMatchObject({ version: "1.14", compression: "none", database: "small", integerBytes: 4 });
    expect(archive.header.dumpVersion).toMatch(/^15\./);
    expect(archive.toc.map((entry) => `${entry.description} ${entry.tag}`)).toEqual(
      expect.arrayContaining(["TABLE item", "TABLE DATA item", "SEQUENCE SET counter", "VIEW v", "BLOBS BLOBS"]),
    );
    expect(rowsByTag(archive)).toEqual({ item: 3, empty: 0, no_columns: 1, BLOBS: 2 });
    expect(archive.sizeBytes).toBe(small.length);
  });

  it("has the rows of a table within the range of its block", () => {
    const archive = readWhole(small);
    const item = archive.toc.find((entry) => entry.tag === "item" && entry.hasData);
    const block = archive.blocks.find(({ dumpId }) => dumpId === item?.dumpId);

    const range = small.subarray(block?.offset, (block?.offset ?? 0) + (block?.size ?? 0));

    expect(range.includes("1\tone\n")).toBe(true);
    expect(range.includes("2\ttwo\\nlines\n")).toBe(true);
    expect(range.includes("\\.\n\n\n")).toBe(true);
    expect(range.subarray(-5)).toEqual(Buffer.alloc(5));
  });

  it("is read the same byte by byte", () => {
    expect(readWhole(small, 1)).toEqual(readWhole(small));
  });

  it("is read the same however the stream is cut", () => {
    const whole = readWhole(small);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 60 }), (sizes) => {
        const reader = createArchiveReader();
        let at = 0;
        for (const size of sizes) {
          reader.push(small.subarray(at, at + size));
          at += size;
        }
        reader.push(small.subarray(at));
        expect(reader.end()).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });

  it("is read the same when every piece is overwritten after it was taken", () => {
    const reader = createArchiveReader();
    for (let at = 0; at < small.length; at += 11) {
      const piece = Buffer.from(small.subarray(at, at + 11));
      reader.push(piece);
      piece.fill(0xff);
    }

    expect(reader.end()).toEqual(readWhole(small));
  });

  it("is refused wherever it is cut off", () => {
    for (let length = 0; length < small.length; length++) {
      const reader = createArchiveReader();
      reader.push(small.subarray(0, length));
      expect(() => reader.end(), `cut after ${length} bytes`).toThrow(/not a whole custom archive/);
    }
  });

  it("names the first object whose data is missing when it is cut between two blocks", () => {
    const { blocks } = readWhole(small);
    const end = blocks[1] === undefined ? 0 : blocks[1].offset - 6;

    expect(() => readWhole(small.subarray(0, end))).toThrow(
      /before the data of 3 object\(s\), the first is public\.\w+/,
    );
  });

  it("is refused with more bytes behind it", () => {
    expect(() => readWhole(Buffer.concat([small, Buffer.from("more")]))).toThrow(/block of type 109/);
  });

  it("says when its data is compressed", () => {
    const archive = readWhole(gzipped);

    expect(archive.header.compression).toBe("gzip");
    expect(archive.blocks).toHaveLength(readWhole(small).blocks.length);
  });
});

describe("an archive of any known version", () => {
  const content = {
    tables: [
      { name: "one", chunks: ["1\n", "2\n", "\\.\n\n\n"] },
      { name: "split", chunks: ["1\n2", "\n3\n\\", ".\n\n\n"] },
      { name: "none", chunks: ["\\.\n\n\n"] },
      { name: "wide", chunks: [`${"x".repeat(100_000)}\n\\.\n\n\n`] },
      { name: "backslashes", chunks: ["\\\\.\n", "\\\\\n", "\\.\n\n\n"] },
    ],
    largeObjects: [["abc", "def"], []],
  };
  const counts = { one: 2, split: 3, none: 0, wide: 1, backslashes: 2, BLOBS: 2 };

  it.each([12, 13, 14, 15, 16])("is read in version 1.%i", (minor) => {
    const bytes = writeArchive({ ...content, minor });

    expect(rowsByTag(readWhole(bytes))).toEqual(counts);
    expect(readWhole(bytes, 7)).toEqual(readWhole(bytes));
  });

  it.each([
    [2, 4],
    [4, 4],
    [8, 8],
  ])("is read with integers of %i and offsets of %i bytes", (integerBytes, offsetBytes) => {
    const tables = integerBytes === 2 ? content.tables.filter(({ name }) => name !== "wide") : content.tables;

    const archive = readWhole(writeArchive({ ...content, tables, integerBytes, offsetBytes }), 3);

    expect(rowsByTag(archive)).toEqual(
      Object.fromEntries(Object.entries(counts).filter(([name]) => integerBytes > 2 || name !== "wide")),
    );
  });

  it("holds as many rows as lines were written, in chunks of any size", () => {
    const line = fc.string({ unit: fc.constantFrom("a", "\\\\", ".", "\\n", "\t") });
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 })), (lines, cuts) => {
        const text = `${lines.map((each) => `${each}\n`).join("")}\\.\n\n\n`;
        const chunks: string[] = [];
        let at = 0;
        for (const cut of cuts) {
          chunks.push(text.slice(at, at + cut));
          at += cut;
        }
        chunks.push(text.slice(at));
        const archive = readWhole(writeArchive({ tables: [{ name: "t", chunks: chunks.filter(Boolean) }] }));
        expect(archive.blocks[0]?.rows).toBe(lines.length);
      }),
    );
  });
});

describe("bytes that are no archive", () => {
  it.each([
    ["text", Buffer.from("pg_dump: error"), /does not begin with PGDMP/],
    [
      "an older version",
      Buffer.concat([Buffer.from("PGDMP"), Buffer.from([1, 11, 0, 4, 8, 1])]),
      /version 1\.11 is unknown/,
    ],
    [
      "a newer version",
      Buffer.concat([Buffer.from("PGDMP"), Buffer.from([1, 17, 0, 4, 8, 1])]),
      /version 1\.17 is unknown/,
    ],
    ["a tar archive", Buffer.concat([Buffer.from("PGDMP"), Buffer.from([1, 14, 0, 4, 8, 3])]), /format 3/],
    [
      "huge integers",
      Buffer.concat([Buffer.from("PGDMP"), Buffer.from([1, 14, 0, 200, 8, 1])]),
      /integer has 200 bytes/,
    ],
    ["nothing", Buffer.alloc(0), /ends within its table of contents/],
  ])("are refused: %s", (_, bytes, message) => {
    expect(() => readWhole(bytes)).toThrow(message);
  });

  it("never make the reader hang or crash, whatever byte is changed", () => {
    fc.assert(
      fc.property(fc.nat(small.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(small);
        damaged[at] = (damaged[at] ?? 0) ^ change;
        try {
          readWhole(damaged);
        } catch (error) {
          expect(error).toMatchObject({ code: "BACKUP_CORRUPTED" });
        }
      }),
      { numRuns: 300 },
    );
  });
});
