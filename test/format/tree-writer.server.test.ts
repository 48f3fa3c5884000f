import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it, test } from "vitest";
import type { TreeNode } from "../../src/domain/artifact.ts";
import { type SourceSettings, type TreeCallbacks, writeTreeSource } from "../../src/format/source-writer.ts";
import { sha256 } from "../../src/format/workers/hashing.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { findAttributes } from "../../src/platform/extended-attributes.ts";
import { compareNames } from "../../src/platform/walk.ts";
import { noise } from "../helpers/bytes.ts";
import { type FormatRun, formatRun, nodesOf, readTree } from "../helpers/format-run.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { nodeAt } from "../helpers/tree-nodes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const pool = new WorkerPool(2);
afterAll(() => pool.close());

interface TreeOptions {
  readonly parent?: FormatRun;
  readonly source?: Partial<SourceSettings>;
  readonly callbacks?: Partial<TreeCallbacks>;
}

async function backUp(nodes: readonly TreeNode[], { parent, source, callbacks }: TreeOptions = {}) {
  const made = formatRun(pool, parent === undefined ? {} : { parent });
  const unreadable: string[] = [];
  const changed: string[] = [];
  const sorted = nodes.toSorted((a, b) => compareNames(a.name, b.name));
  const { artifacts, totals } = await writeTreeSource(
    nodesOf(...sorted),
    made.run,
    { ...made.source, ...source },
    {
      onEntry: () => undefined,
      onUnreadable: (name, errno) => unreadable.push(`${basename(name.toString())} ${errno}`),
      onChanged: (name) => changed.push(basename(name.toString())),
      ...callbacks,
    },
  );
  const lines = fs.readFileSync(made.cache.indexFile, "utf8").trimEnd().split("\n");
  return { made, artifacts, totals, unreadable, changed, lines, read: () => readTree(made, artifacts) };
}

/** Files of these contents in a folder. Gives the folder and its nodes. */
function folderOf(contents: Readonly<Record<string, Buffer>>): { folder: string; nodes: () => TreeNode[] } {
  const folder = tempDir();
  for (const [name, bytes] of Object.entries(contents)) fs.writeFileSync(join(folder, name), bytes);
  return { folder, nodes: () => [nodeAt(folder), ...fs.readdirSync(folder).map((name) => nodeAt(join(folder, name)))] };
}

const contentsOf = (read: Awaited<ReturnType<typeof readTree>>) =>
  Object.fromEntries(
    read.filter(({ entry }) => entry.type === "file").map(({ entry, bytes }) => [basename(String(entry.name)), bytes]),
  );

/** What differs shows at once, and megabytes are not compared byte by byte. */
const sums = (contents: Readonly<Record<string, Buffer>>) =>
  Object.fromEntries(
    Object.entries(contents).map(([name, bytes]) => [name, `${bytes.length} ${sha256(bytes).toString("hex")}`]),
  );

describe("a tree", () => {
  it("comes back with every size of file, around the limits of small and large ones", async () => {
    const sizes = [0, 1, 16 * KIB, 64 * KIB, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 5 * MIB + 3];
    const contents = Object.fromEntries(sizes.map((size, i) => [`file-${size}`, noise(size, i)]));
    const { nodes } = folderOf(contents);

    const { read, totals, artifacts } = await backUp(nodes());

    expect(sums(contentsOf(await read()))).toEqual(sums(contents));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(totals).toMatchObject({ entries: 11, files: 10, directories: 1, symlinks: 0, bytes, unchanged: 0 });
    expect(artifacts.size).toBe(bytes);
  });

  it("comes back with a thousand small files, their content stored once where it is equal", async () => {
    const contents = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, noise(5000, i % 10)]));
    const { nodes } = folderOf(contents);

    const { read, artifacts } = await backUp(nodes());

    expect(sums(contentsOf(await read()))).toEqual(sums(contents));
    expect(artifacts.newSize).toBe(50_000);
  });

  it("comes back with symlinks and what they say", async () => {
    const { folder, nodes } = folderOf({});
    fs.symlinkSync("no where\n", join(folder, "link"));

    const { read } = await backUp(nodes());

    const link = (await read()).find(({ entry }) => entry.type === "symlink");
    expect(String(link?.entry.link)).toBe("no where\n");
  });

  it("has the attributes of every node, however it was read", async () => {
    const { folder, nodes } = folderOf({ empty: noise(0), small: noise(10), large: noise(3 * MIB), bare: noise(20) });
    for (const name of ["", "empty", "small", "large"]) {
      execFileSync("setfattr", ["-n", "user.note", "-v", `of ${name}`, join(folder, name)]);
    }
    const opened: string[] = [];
    const attributesOf = (name: Buffer) => {
      opened.push(basename(String(name)));
      const descriptor = fs.openSync(Buffer.concat([Buffer.from("/"), name]), "r");
      try {
        return findAttributes(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    };

    const { lines } = await backUp(
      nodes().map((node) => ({
        ...node,
        attributes: (found = attributesOf(node.name)) => ("attributes" in found ? found.attributes : undefined),
      })),
    );

    const notes = lines.map((line) => JSON.parse(line)).map(({ name, xattrs }) => [name && basename(name), xattrs]);
    const note = (name: string) => ({ "user.note": Buffer.from(`of ${name}`).toString("base64") });
    expect(Object.fromEntries(notes)).toMatchObject({
      [basename(folder)]: note(""),
      empty: note("empty"),
      small: note("small"),
      large: note("large"),
      bare: undefined,
    });
    expect(opened.sort()).toEqual([basename(folder), "large"].sort());
  });

  it("comes back whatever files it has", async () => {
    const file = fc.record({ size: fc.oneof(fc.nat(10_000), fc.nat(3 * MIB)), seed: fc.nat(3) });
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 12 }), async (files) => {
        const contents = Object.fromEntries(files.map(({ size, seed }, i) => [`f${i}`, noise(size, seed)]));

        const { read } = await backUp(folderOf(contents).nodes());

        expect(sums(contentsOf(await read()))).toEqual(sums(contents));
      }),
      { numRuns: 8 },
    );
  });
});

describe("holes", () => {
  function sparse(size: number, pieces: Readonly<Record<number, Buffer>>) {
    const { folder, nodes } = folderOf({});
    const file = join(folder, "sparse");
    fs.writeFileSync(file, "");
    fs.truncateSync(file, size);
    const descriptor = fs.openSync(file, "r+");
    for (const [at, bytes] of Object.entries(pieces)) fs.writeSync(descriptor, bytes, 0, bytes.length, Number(at));
    fs.closeSync(descriptor);
    return { file, nodes };
  }

  it.each<[string, number, Readonly<Record<number, Buffer>>, readonly (readonly number[])[]]>([
    ["a file of nothing else", 8 * MIB, {}, [[0, 8 * MIB]]],
    [
      "a file with data in the middle",
      8 * MIB,
      { [3 * MIB]: noise(MIB) },
      [
        [0, 3 * MIB],
        [4 * MIB, 4 * MIB],
      ],
    ],
    ["a file with data at both ends", 4 * MIB, { 0: noise(4096), [4 * MIB - 5]: noise(5) }, [[4096, 4 * MIB - 8192]]],
    ["a file that ends in the middle of a unit", 3 * MIB + 100, {}, [[0, 3 * MIB]]],
    ["a run of 64 KiB", 2 * MIB, { 0: noise(MIB), [MIB + 64 * KIB]: noise(MIB - 64 * KIB) }, [[MIB, 64 * KIB]]],
    ["a run that is too short", 2 * MIB, { 0: noise(MIB), [MIB + 60 * KIB]: noise(MIB - 60 * KIB) }, []],
  ])("are left out of %s, and are there again", async (_, size, pieces, holes) => {
    const { file, nodes } = sparse(size, pieces);

    const { read, totals } = await backUp(nodes());

    const found = (await read()).find(({ entry }) => entry.type === "file");
    expect(found?.entry.holes).toEqual(holes);
    expect(found?.bytes.equals(fs.readFileSync(file))).toBe(true);
    expect(totals.bytes).toBe(size);
  });

  it("are stored as zeros behind the first thousand, and nothing is stored that no file refers to", async () => {
    const step = 68 * KIB;
    const pieces = Object.fromEntries(
      Array.from({ length: 1100 }, (_, i) => [i * step, Buffer.alloc(4096, (i % 255) + 1)]),
    );
    const { file, nodes } = sparse(1100 * step, pieces);

    const { artifacts, made } = await backUp(nodes());

    const [entry] = (await readTree(made, artifacts)).filter(({ entry: { type } }) => type === "file");
    const holes = entry?.entry.holes.length ?? 0;
    expect(holes).toBeGreaterThanOrEqual(1000);
    expect(holes).toBeLessThan(1100);
    expect(entry?.bytes.equals(fs.readFileSync(file))).toBe(true);
    const referred = new Map(entry?.entry.chunks.map(({ sha256, length }) => [sha256, length]));
    expect(artifacts.newSize).toBe([...referred.values()].reduce((sum, length) => sum + length, 0));
  });
});

describe("the next backup", () => {
  const contents = { a: noise(10), large: noise(3 * MIB), z: noise(100_000) };

  it("takes what is unchanged over, byte for byte, and does not read it", async () => {
    const { folder, nodes } = folderOf(contents);
    const unchanged = nodes();
    const parent = await backUp(unchanged);
    for (const name of Object.keys(contents)) fs.rmSync(join(folder, name));

    const child = await backUp(unchanged, { parent: parent.made });

    expect(child.unreadable).toEqual([]);
    expect(child.lines).toEqual(parent.lines);
    expect(child.totals).toMatchObject({ unchanged: 4, changed: 0 });
    expect(child.artifacts).toMatchObject({ newSize: 0, sameAsParent: true });
    expect(child.artifacts.data.packs).toEqual([]);
    expect(sums(contentsOf(await child.read()))).toEqual(sums(contents));
  });

  it("repeats the lines of a file with more than 512 chunks", async () => {
    const { nodes } = folderOf({ huge: noise(45 * MIB) });
    const unchanged = nodes();
    const parent = await backUp(unchanged);

    const child = await backUp(unchanged, { parent: parent.made });

    expect(parent.lines.filter((line) => line.startsWith('{"more":1,'))).toHaveLength(1);
    expect(child.lines).toEqual(parent.lines);
  });

  it("stores of a changed file what is new in it", async () => {
    const { folder, nodes } = folderOf(contents);
    const parent = await backUp(nodes());
    fs.appendFileSync(join(folder, "large"), "more");

    const child = await backUp(nodes(), { parent: parent.made });

    expect(child.totals).toMatchObject({ unchanged: 3, changed: 1 });
    expect(child.artifacts.sameAsParent).toBe(false);
    expect(child.artifacts.newSize).toBeLessThan(300_000);
    expect(sums(contentsOf(await child.read()))).toEqual(
      sums({
        ...contents,
        large: Buffer.concat([contents.large, Buffer.from("more")]),
      }),
    );
  });

  it("is not the same where something is gone or new", async () => {
    const { folder, nodes } = folderOf(contents);
    const all = nodes();
    const parent = await backUp(all);

    const gone = await backUp(
      all.filter(({ name }) => !String(name).endsWith("/z")),
      { parent: parent.made },
    );
    fs.writeFileSync(join(folder, "new"), "");
    const added = await backUp([...all, nodeAt(join(folder, "new"))], { parent: parent.made });

    expect([gone, added].map(({ artifacts }) => artifacts.sameAsParent)).toEqual([false, false]);
  });

  it("reads again what was too young, once, and is the same all the same", async () => {
    const { folder } = folderOf(contents);
    const young = Object.keys(contents).map((name) => nodeAt(join(folder, name), true));
    const parent = await backUp(young);
    expect(parent.lines.filter((line) => line.includes('"untrusted":true'))).toHaveLength(3);

    const settled = Object.keys(contents).map((name) => nodeAt(join(folder, name)));
    const child = await backUp(settled, { parent: parent.made });
    const grandchild = await backUp(settled, { parent: child.made });

    expect(child.totals).toMatchObject({ unchanged: 0, changed: 0 });
    expect(child.artifacts).toMatchObject({ newSize: 0, sameAsParent: true });
    expect(grandchild.totals.unchanged).toBe(3);
  });
});

describe("a file that is not as it was listed", () => {
  it.each([
    ["small", 100],
    ["large", 3 * MIB],
  ])("is named and left out where it is gone (%s)", async (name, size) => {
    const { folder, nodes } = folderOf({ [name]: noise(size), other: noise(10) });
    const listed = nodes();
    fs.rmSync(join(folder, name));

    const { unreadable, read } = await backUp(listed);

    expect(unreadable).toEqual([`${name} ENOENT`]);
    expect(Object.keys(contentsOf(await read()))).toEqual(["other"]);
  });

  it("is a change where the backup before had it", async () => {
    const { folder, nodes } = folderOf({ gone: noise(10), other: noise(10) });
    const parent = await backUp(nodes());
    fs.writeFileSync(join(folder, "gone"), "more than before");
    const listed = nodes();
    fs.rmSync(join(folder, "gone"));

    const { artifacts, unreadable } = await backUp(listed, { parent: parent.made });

    expect(unreadable).toEqual(["gone ENOENT"]);
    expect(artifacts.sameAsParent).toBe(false);
  });

  it.each([
    ["grown a little", 100, 5000],
    ["grown from small to large", 100, 3 * MIB],
    ["shrunk", 5000, 10],
    ["shrunk from large to small", 3 * MIB, 10],
    ["emptied", 5000, 0],
  ])("is stored as it is now where it has %s", async (_, before, now) => {
    const { folder, nodes } = folderOf({ file: noise(before), other: noise(10) });
    const listed = nodes();
    fs.writeFileSync(join(folder, "file"), noise(now, 2));

    const { read, changed } = await backUp(listed);

    expect(sums(contentsOf(await read()))).toEqual(sums({ file: noise(now, 2), other: noise(10) }));
    expect(changed).toEqual([]);
  });

  it("is read again where it changed while it was read, and marked where it did so twice", async () => {
    const { folder, nodes } = folderOf({ log: noise(5 * MIB) });
    const log = join(folder, "log");
    const listed = nodes();

    for (const [times, expected] of [
      [1, []],
      [100, ["log"]],
    ] as const) {
      let left = times;
      const onBytes = () => {
        if (left-- > 0) fs.appendFileSync(log, "line\n");
      };
      const { changed, read, lines } = await backUp(listed, { source: { onBytes } });

      expect(changed).toEqual(expected);
      const found = contentsOf(await read()).log;
      expect(found?.equals(fs.readFileSync(log).subarray(0, found.length))).toBe(true);
      expect(lines.filter((line) => line.includes('"untrusted":true,"changed":true'))).toHaveLength(expected.length);
    }
  });

  it("is not followed where it became a symlink or a directory", async () => {
    const { folder, nodes } = folderOf({ one: noise(10), two: noise(3 * MIB), secret: noise(20) });
    const listed = nodes().filter(({ name }) => !String(name).endsWith("secret"));
    for (const name of ["one", "two"]) fs.rmSync(join(folder, name));
    fs.symlinkSync(join(folder, "secret"), join(folder, "one"));
    fs.mkdirSync(join(folder, "two"));

    const { unreadable, read } = await backUp(listed);

    expect(unreadable).toEqual(["one ELOOP", "two EISDIR"]);
    expect(contentsOf(await read())).toEqual({});
  });
});

test("a failure anywhere ends the writing with that failure", async () => {
  const { nodes } = folderOf({ a: noise(10), b: noise(3 * MIB) });
  const boom = () => {
    throw new Error("stopped");
  };

  await expect(backUp(nodes(), { callbacks: { onEntry: boom } })).rejects.toThrow("stopped");
  await expect(backUp(nodes(), { source: { onBytes: boom } })).rejects.toThrow("stopped");
  await expect(backUp(nodes().map((node) => ({ ...node, attributes: boom })))).rejects.toThrow("stopped");
});

test.each([100, 3 * MIB])(
  "a file of %i bytes is not read where the worker threads are gone, and why is told",
  async (size) => {
    const { nodes } = folderOf({ file: noise(size) });
    const gone = new WorkerPool(1);
    await gone.close();
    const made = formatRun(gone);
    const ignored = () => undefined;
    const callbacks = { onEntry: ignored, onUnreadable: ignored, onChanged: ignored };

    const writing = writeTreeSource(nodesOf(...nodes()), made.run, made.source, callbacks);

    await expect(writing).rejects.toThrow("the worker pool was closed");
  },
);
