import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { DamageError } from "../../src/format/block.ts";
import { fetchIndex, readRoot, readStreamIndex, readTreeIndex, type TreeEntry } from "../../src/format/index-reader.ts";
import { LineWriter } from "../../src/format/line-writer.ts";
import { StoredDamage } from "../../src/format/pack-source.ts";
import { writeStreamSource } from "../../src/format/source-writer.ts";
import { statPart, treeLines } from "../../src/format/tree-line.ts";
import { backupId } from "../domain/builders.ts";
import { type ArbitraryEntry, treeEntries } from "../helpers/arbitrary-index.ts";
import { noise } from "../helpers/bytes.ts";
import { formatRun, openPool } from "../helpers/format-run.ts";
import { suiteTempDir, tempDir } from "../helpers/temp-dir.ts";

type Fields = Readonly<Record<string, unknown>>;

const HASH = "0123456789abcdef".repeat(4);
const chunk = (length: number) => [HASH, length, 0, 0, 28, 1000, 0];

function entry(name: string | Buffer, fields: Fields = {}): Fields {
  const named = typeof name === "string" ? { name } : { name_b64: name.toString("base64") };
  const stat = { size: 0, mode: 0o644, uid: 0, gid: 0, mtime: "1", ctime: "2", inode: "3" };
  return { ...named, type: "file", ...stat, ...fields };
}

function endOf(entries: readonly Fields[]): Fields {
  const own = entries.filter(({ more }) => more === undefined);
  return { end: true, entries: own.length, bytes: own.reduce((sum, { size }) => sum + Number(size), 0) };
}

function fileOf(...lines: readonly (Fields | string)[]): string {
  const file = join(tempDir(), "index");
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
  writeFileSync(file, text.map((line) => `${line}\n`).join(""));
  return file;
}

const readTree = (...lines: readonly (Fields | string)[]): TreeEntry[] => [...readTreeIndex(fileOf(...lines))];
const readWhole = (...entries: readonly Fields[]) => readTree(...entries, endOf(entries));

describe("the index of a tree", () => {
  it("gives its entries with everything that their lines say", () => {
    const file = entry(Buffer.from([0x61, 0xff]), {
      size: 200_000,
      user: "www",
      group: "www-data",
      mtime: "-1700000000123456789",
      hard_link: "1:2",
      changed: true,
      xattrs: { "user.a": "QQ==" },
      holes: [[0, 65_536]],
      chunks: [chunk(134_464)],
    });
    const link = entry("b", { type: "symlink", link_b64: Buffer.from([0xfe]).toString("base64") });

    const [first, second, ...more] = readWhole(file, link);

    expect(first).toEqual({
      name: Buffer.from([0x61, 0xff]),
      type: "file",
      size: 200_000,
      mode: 0o644,
      uid: 0,
      gid: 0,
      user: "www",
      group: "www-data",
      mtimeNs: -1_700_000_000_123_456_789n,
      link: undefined,
      hardLink: "1:2",
      changed: true,
      attributes: { "user.a": "QQ==" },
      holes: [[0, 65_536]],
      chunks: [
        { sha256: HASH, length: 134_464, object: 0, pack: 0, blockOffset: 28, blockStored: 1000, offsetInBlock: 0 },
      ],
    });
    expect(second).toMatchObject({ type: "symlink", link: Buffer.from([0xfe]) });
    expect(more).toEqual([]);
  });

  it("may have a name that begins like a file's", () => {
    expect(readWhole(entry("a"), entry("a.b"), entry("ab"))).toHaveLength(3);
  });

  it("joins the lines of an entry with many chunks", () => {
    const chunks = (count: number) => Array.from({ length: count }, () => chunk(10));
    const large = entry("large", { size: 11_000, chunks: chunks(512) });

    const [first] = readWhole(large, { more: 1, chunks: chunks(512) }, { more: 2, chunks: chunks(76) }, entry("next"));

    expect(first?.chunks).toHaveLength(1100);
  });

  it("may begin with the root of all files, which has no name", () => {
    expect(readWhole(entry("", { type: "directory" }), entry("a")).map(({ name }) => String(name))).toEqual(["", "a"]);
  });

  it.each(["..", "../etc/passwd", "a/../b", "a/..", ".", "./a", "a/./b", "/etc/passwd", "a/", "a//b", "/", "a\0b"])(
    "with an entry named %j is damage",
    (name) => {
      expect(() => readWhole(entry(name))).toThrow(DamageError);
      expect(() => readWhole(entry(Buffer.from(name)))).toThrow(DamageError);
    },
  );

  it.each(["...", "..a", "a..", ".a", "a.", "a/.b/..c", "a\\..\\b", "a\nb"])("may have an entry named %j", (name) => {
    expect(readWhole(entry(name)).map((read) => String(read.name))).toEqual([name]);
  });

  it.each<[string, readonly (Fields | string)[]]>([
    ["nothing in it", []],
    ["no last line", [entry("a")]],
    ["a last line that is cut", [entry("a"), '{"end":true,"entries":1,"by']],
    ["lines behind its last one", [entry("a"), endOf([entry("a")]), entry("b")]],
    ["fewer entries than it says", [entry("a"), { end: true, entries: 2, bytes: 0 }]],
    ["more entries than it says", [entry("a"), entry("b"), { end: true, entries: 1, bytes: 0 }]],
    ["other bytes than it says", [entry("a"), { end: true, entries: 1, bytes: 1 }]],
    ["no counts", [entry("a"), { end: true }]],
    ["names out of order", [entry("b"), entry("a"), { end: true, entries: 2, bytes: 0 }]],
    ["names in the order of a dictionary", [entry("a.b"), entry("a/b"), { end: true, entries: 2, bytes: 0 }]],
    ["a name twice", [entry("a"), entry("a"), { end: true, entries: 2, bytes: 0 }]],
    ["a name twice, in two spellings", [entry("a"), entry(Buffer.from("a")), { end: true, entries: 2, bytes: 0 }]],
    [
      "more chunks of nothing",
      [
        { more: 1, chunks: [chunk(1)] },
        { end: true, entries: 0, bytes: 0 },
      ],
    ],
    ["an entry below a file without name", [entry(""), entry("a"), { end: true, entries: 2, bytes: 0 }]],
    ["a line that is no object", ["[]", { end: true, entries: 0, bytes: 0 }]],
    ["a line that is no JSON", ["x", { end: true, entries: 0, bytes: 0 }]],
  ])("with %s is damage", (_, lines) => {
    expect(() => readTree(...lines)).toThrow(DamageError);
  });

  it.each<[string, Fields]>([
    ["an unknown type", { type: "socket" }],
    ["no mode", { mode: undefined }],
    ["a negative size", { size: -1 }],
    ["a time with a point", { mtime: "1.5" }],
    ["a time that is a number", { mtime: 1 }],
    ["fewer chunks than its size", { size: 20, chunks: [chunk(10)] }],
    ["more chunks than its size", { size: 5, chunks: [chunk(10)] }],
    ["a hole behind its end", { size: 10, holes: [[5, 10]] }],
    [
      "holes that overlap",
      {
        size: 20,
        holes: [
          [0, 10],
          [5, 10],
        ],
      },
    ],
    [
      "holes out of order",
      {
        size: 20,
        holes: [
          [10, 10],
          [0, 10],
        ],
      },
    ],
    ["a hole with three members", { size: 20, holes: [[0, 20, 1]] }],
    ["513 chunks in a line", { size: 513, chunks: Array.from({ length: 513 }, () => chunk(1)) }],
    ["attributes that are a list", { xattrs: [] }],
    ["an attribute that is a number", { xattrs: { "user.a": 1 } }],
  ])("with an entry that has %s is damage", (_, fields) => {
    expect(() => readWhole(entry("a", fields))).toThrow(DamageError);
  });

  it("of any other text is damage, never another error", () => {
    const directory = tempDir();
    const line = fc.oneof(fc.json(), fc.constantFrom(JSON.stringify(entry("a")), '{"end":true,"entries":0,"bytes":0}'));
    const file = join(directory, "any");
    fc.assert(
      fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
        writeFileSync(file, lines.join("\n"));
        for (const read of [() => [...readTreeIndex(file)], () => readStreamIndex(file, "pgdump")]) {
          try {
            read();
          } catch (error) {
            expect(error).toBeInstanceOf(DamageError);
          }
        }
      }),
    );
  });
});

describe("the index of any tree", () => {
  const directory = suiteTempDir();
  let runs = 0;

  function write(entries: readonly ArbitraryEntry[]): string {
    const file = join(directory, String(runs++));
    const lines = new LineWriter(file);
    for (const { node, parts } of entries) lines.write(treeLines({ statPart: statPart(node), ...parts }));
    const bytes = entries.reduce((sum, { node }) => sum + node.size, 0);
    lines.write(`${JSON.stringify({ end: true, entries: entries.length, bytes })}\n`);
    lines.close();
    return file;
  }

  it("gives back what was written", () => {
    fc.assert(
      fc.property(treeEntries, (entries) => {
        expect([...readTreeIndex(write(entries))]).toEqual(entries.map(({ read }) => read));
      }),
    );
  });

  it("gives back of the files only those that are wanted", () => {
    const isWanted = (name: Buffer) => name.length % 2 === 0;
    fc.assert(
      fc.property(treeEntries, (entries) => {
        const expected = entries.map(({ read }) => read).filter(({ type, name }) => type !== "file" || isWanted(name));

        expect([...readTreeIndex(write(entries), isWanted)]).toEqual(expected);
      }),
    );
  });
});

describe("the index of a stream", () => {
  const table = { name: "app/orders", type: "table", offset: 0, size: 5, rows: 2 };
  const end = { end: true, entries: 1, chunks: 2, bytes: 30 };
  const chunks = { chunks: [chunk(10), chunk(20)] };

  it("gives chunks, entries with all their facts, and the inventory", () => {
    const index = readStreamIndex(fileOf(chunks, table, { inventory: { tables: 1 } }, end), "pgdump");

    expect(index.chunks.map(({ length }) => length)).toEqual([10, 20]);
    expect(index).toMatchObject({ entries: [table], inventory: { tables: 1 }, size: 30 });
  });

  it.each<[string, readonly Fields[]]>([
    ["no last line", [chunks, table]],
    ["fewer chunks than it says", [{ chunks: [chunk(30)] }, table, end]],
    ["fewer entries than it says", [chunks, end]],
    ["fewer bytes than it says", [chunks, table, { ...end, bytes: 31 }]],
    ["lines behind its last one", [chunks, table, end, table]],
    ["an entry without a place", [chunks, { name: "a", type: "table" }, end]],
    ["an entry without a name", [chunks, { ...table, name: undefined }, end]],
    ["an inventory that is a list", [chunks, table, { inventory: [] }, end]],
  ])("with %s is damage", (_, lines) => {
    expect(() => readStreamIndex(fileOf(...lines), "pgdump")).toThrow(DamageError);
  });

  it.each(["", ".", "..", "/etc/passwd", "../a", "a/../b", "a/b", "a\0"])(
    "refuses the name %j where it is a file's",
    (name) => {
      const file = fileOf(chunks, { ...table, name }, end);

      for (const kind of ["sqlite", "output", "env"]) expect(() => readStreamIndex(file, kind)).toThrow(DamageError);
    },
  );

  it("gives databases and tables whatever names they have", () => {
    const names = ["..", "/a", "a//b", 'a/../b."c/."'];
    const entries = names.map((name) => ({ ...table, name }));
    const file = fileOf(chunks, ...entries, { ...end, entries: names.length });

    expect(readStreamIndex(file, "pgdump").entries.map(({ name }) => name)).toEqual(names);
  });
});

describe("root and index from storage", () => {
  async function backUp() {
    const made = formatRun(openPool(), { kind: "dump" });
    const dump = {
      bytes: (async function* () {
        yield noise(300_000);
      })(),
      finish: async () => ({ entries: [] }),
    };
    const { artifacts } = await writeStreamSource(dump, made.run, made.source);
    const described = { name: "app", kind: "dump", root: artifacts.root };
    return { made, described, root: () => readRoot(made.run.backupId, described, true, made.packs, made.run.pool) };
  }

  it("are those of the backup and source that were asked for, or damage", async () => {
    const { made, described } = await backUp();
    const { packs, run } = made;

    for (const other of [
      { ...described, name: "other" },
      { ...described, kind: "tree" },
    ]) {
      await expect(readRoot(run.backupId, other, true, packs, run.pool)).rejects.toThrow(
        "the root is another source's",
      );
    }
    const anywhere = {
      ...packs,
      get: (_: string, ...rest: [string, number, number]) => packs.get(run.backupId, ...rest),
    };
    await expect(readRoot(backupId(9), described, true, anywhere, run.pool)).rejects.toThrow(StoredDamage);
  });

  it("is damage where the index is not the one that the root describes", async () => {
    const { made, root } = await backUp();
    const { root: sound } = await root();

    for (const wrong of [{ indexSize: 1 }, { indexSha256: HASH }, { chunks: [] }]) {
      const file = join(tempDir(), "index");
      const fetching = fetchIndex({ ...sound, ...wrong }, file, made.packs, made.run.pool);
      await expect(fetching).rejects.toThrow("app.dump.index is not the index that its root describes");
    }
  });
});

test("an index is closed when its reader stops early", () => {
  const file = fileOf(entry("a"), entry("b"), { end: true, entries: 2, bytes: 0 });
  const openFiles = () => readdirSync("/proc/self/fd").length;
  const before = openFiles();

  for (const { name } of readTreeIndex(file)) if (String(name) === "a") break;

  expect(openFiles()).toBe(before);
});
