import { readFileSync, statSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, it, test, vi } from "vitest";
import { BLOCK_RAW_BYTES } from "../../src/format/artifact-writer.ts";
import { dataChunksAt, INDEX_CHUNKS } from "../../src/format/chunker.ts";
import { PACK_BYTES } from "../../src/format/pack-assembler.ts";
import { type RunSettings, type StreamFacts, writeStreamSource } from "../../src/format/source-writer.ts";
import { BODY_BYTES } from "../../src/format/stream-writer.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { streamEntries } from "../helpers/arbitrary-index.ts";
import { around, noise } from "../helpers/bytes.ts";
import { type FormatRun, type FormatRunOptions, formatRun, readStream } from "../helpers/format-run.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const pool = new WorkerPool(2);
afterAll(() => pool.close());

function dumpOf(pieces: Iterable<Uint8Array>, facts: Partial<StreamFacts> = {}) {
  return {
    bytes: (async function* () {
      yield* pieces;
    })(),
    finish: async (): Promise<StreamFacts> => ({ entries: [], ...facts }),
  };
}

async function backUp(bytes: Uint8Array, options: FormatRunOptions = {}, facts: Partial<StreamFacts> = {}) {
  const made = formatRun(pool, { kind: "dump", ...options });
  const { artifacts } = await writeStreamSource(dumpOf([Buffer.from(bytes)], facts), made.run, made.source);
  return { made, artifacts, read: () => readStream(made, artifacts) };
}

function names({ objects }: FormatRun): string[] {
  return [...objects.keys()].sort();
}

describe("a stream", () => {
  const combinations = (["none", "gzip", "zstd"] as const).flatMap((algorithm) =>
    [true, false].map((encrypted) => ({ algorithm, encrypted })),
  );

  it.each(combinations)(
    "comes back as it was ($algorithm, encrypted: $encrypted)",
    async ({ algorithm, encrypted }) => {
      const bytes = Buffer.concat([
        noise(3 * MIB),
        Buffer.alloc(3 * MIB),
        noise(100),
        Buffer.alloc(2 * MIB, noise(99)),
      ]);
      const settings: Partial<RunSettings> = { compression: { algorithm, level: 1 } };

      const { read, artifacts } = await backUp(bytes, { encrypted, settings });

      expect((await read()).bytes.equals(bytes)).toBe(true);
      expect(artifacts.size).toBe(bytes.length);
    },
  );

  const { minimum, average, maximum } = dataChunksAt(0);

  it.each(around(0, minimum, average, maximum, BLOCK_RAW_BYTES, BODY_BYTES, 2 * BODY_BYTES, PACK_BYTES))(
    "of %i bytes comes back, whatever the pieces it came in",
    async (total) => {
      const bytes = noise(total, total);
      for (const most of [total + 1, Math.ceil(total / 7) + 1, total > maximum + 1 ? 12_345 : 1]) {
        const sent = Buffer.from(bytes);
        const pieces: Buffer[] = [];
        for (let at = 0; at < total; at += most) pieces.push(sent.subarray(at, at + most));
        const made = formatRun(pool, { kind: "dump" });

        const { artifacts } = await writeStreamSource(dumpOf(pieces), made.run, made.source);

        const { bytes: read, index } = await readStream(made, artifacts);
        expect(read.equals(bytes)).toBe(true);
        expect([artifacts.size, artifacts.newSize, index.size]).toEqual([total, total, total]);
      }
    },
  );

  it("of any length, in pieces of any length, comes back", async () => {
    const pieceLengths = fc.array(fc.oneof(fc.constant(0), fc.nat(100), fc.nat(700_000)), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(pieceLengths, fc.nat(), async (lengths, seed) => {
        const pieces = lengths.map((length, i) => noise(length, seed + i));
        const bytes = Buffer.concat(pieces);
        const made = formatRun(pool, { kind: "dump" });

        const { artifacts } = await writeStreamSource(dumpOf(pieces), made.run, made.source);

        expect((await readStream(made, artifacts)).bytes.equals(bytes)).toBe(true);
      }),
      { numRuns: 8 },
    );
  });

  it("is handed over piece by piece, but what lies in one memory with others is left alone", async () => {
    const made = formatRun(pool, { kind: "dump" });
    const whole = new Uint8Array(64 * KIB).fill(1);
    const halves = new Uint8Array(64 * KIB).fill(2);
    const pieces = [whole, halves.subarray(0, 32 * KIB), halves.subarray(32 * KIB)];

    const { artifacts } = await writeStreamSource(dumpOf(pieces), made.run, made.source);

    expect([whole.length, halves.length]).toEqual([0, 64 * KIB]);
    const expected = Buffer.concat([Buffer.alloc(64 * KIB, 1), Buffer.alloc(64 * KIB, 2)]);
    expect((await readStream(made, artifacts)).bytes.equals(expected)).toBe(true);
  });

  it("is cut alike, byte by byte or at once", async () => {
    const bytes = noise(150 * KIB);
    const made = formatRun(pool, { kind: "dump" });
    const single = Array.from({ length: bytes.length }, (_, i) => bytes.subarray(i, i + 1));

    const { artifacts } = await writeStreamSource(dumpOf(single), made.run, made.source);

    const whole = await backUp(bytes);
    const chunksOf = (index: Awaited<ReturnType<typeof readStream>>["index"]) =>
      index.chunks.map(({ sha256 }) => sha256);
    expect(chunksOf((await readStream(made, artifacts)).index)).toEqual(chunksOf((await whole.read()).index));
  });

  it("keeps any entries and any inventory", async () => {
    const inventory = fc.option(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(streamEntries(100), inventory, async (entries, facts) => {
        const { read } = await backUp(noise(100), {}, { entries, ...(facts && { inventory: facts }) });

        const { index } = await read();
        expect(JSON.stringify([index.entries, index.inventory])).toBe(JSON.stringify([entries, facts]));
      }),
      { numRuns: 15 },
    );
  });

  it.each(around(INDEX_CHUNKS.minimum, INDEX_CHUNKS.average, INDEX_CHUNKS.maximum, BLOCK_RAW_BYTES, BODY_BYTES))(
    "with an index of %i bytes keeps it",
    async (size) => {
      const entryOf = (name: string) => ({ name, type: "x", offset: 0, size: 0 });
      const bare = await backUp(Buffer.alloc(0), {}, { entries: [entryOf("")] });
      const room = size - statSync(bare.made.cache.indexFile).size;
      const entries = [entryOf(noise(room).toString("base64").slice(0, room))];

      const { read } = await backUp(Buffer.alloc(0), {}, { entries });

      const { index, root } = await read();
      expect(root.indexSize).toBe(size);
      expect(index.entries).toEqual(entries);
    },
  );

  it("of nothing has no packs but those of index and root", async () => {
    const { made, artifacts, read } = await backUp(Buffer.alloc(0));

    expect(artifacts.data.packs).toEqual([]);
    expect(names(made)).toEqual(["app.dump.index.zst.enc.00000000", "app.dump.root.zst.enc.00000000"]);
    expect((await read()).bytes).toHaveLength(0);
  });

  it("stores equal parts of itself once", async () => {
    const part = noise(4 * MIB);

    const { artifacts, read } = await backUp(Buffer.concat([part, part, part]));

    expect(artifacts.newSize).toBeLessThan(5 * MIB);
    expect((await read()).bytes.equals(Buffer.concat([part, part, part]))).toBe(true);
  });

  it("says the size of each pack as it was stored", async () => {
    const { made, artifacts } = await backUp(noise(40 * MIB));

    const stored = ["zst", "index.zst", "root.zst"].flatMap((part) =>
      names(made).filter((name) => name.startsWith(`app.dump.${part}.enc.`)),
    );
    const sizes = stored.map((name) => made.objects.get(name)?.length);
    expect(stored).toHaveLength(made.objects.size);
    expect(sizes).toEqual([...artifacts.data.packs, ...artifacts.index.packs, ...artifacts.root.packs]);
    expect(artifacts.storedSize).toBe(sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0));
    expect(artifacts.data.packs).toHaveLength(3);
    for (const size of artifacts.data.packs) expect(size).toBeLessThan(17 * MIB);
  });
});

describe("an incremental backup", () => {
  it("of what did not change stores no data, and says so", async () => {
    const bytes = noise(5 * MIB);
    const parent = await backUp(bytes);

    const child = await backUp(bytes, { parent: parent.made });

    expect(child.artifacts).toMatchObject({ newSize: 0, sameAsParent: true, size: bytes.length });
    expect(names(child.made)).toEqual(["app.dump.root.zst.enc.00000000"]);
    expect((await child.read()).bytes.equals(bytes)).toBe(true);
    expect(readFileSync(child.made.cache.indexFile, "utf8")).toBe(readFileSync(parent.made.cache.indexFile, "utf8"));
  });

  it("of a change in the middle stores what is near it", async () => {
    const bytes = noise(8 * MIB);
    const parent = await backUp(bytes);
    const changed = Buffer.concat([bytes.subarray(0, 3 * MIB), Buffer.from("inserted"), bytes.subarray(3 * MIB)]);

    const child = await backUp(changed, { parent: parent.made });

    expect(child.artifacts.sameAsParent).toBe(false);
    expect(child.artifacts.newSize).toBeLessThan(MIB);
    expect((await child.read()).bytes.equals(changed)).toBe(true);
  });

  it("reads back through a whole lineage of changes, each backup its own state", async () => {
    const edit = fc.record({ at: fc.nat(2 * MIB), remove: fc.nat(300_000), seed: fc.nat(), add: fc.nat(300_000) });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        let bytes = noise(2 * MIB);
        const states = [{ bytes, backup: await backUp(bytes) }];
        for (const { at, remove, seed, add } of edits) {
          bytes = Buffer.concat([bytes.subarray(0, at), noise(add, seed), bytes.subarray(at + remove)]);
          const parent = states.at(-1)!.backup.made;
          states.push({ bytes, backup: await backUp(bytes, { parent }) });
        }

        for (const state of states) expect((await state.backup.read()).bytes.equals(state.bytes)).toBe(true);
        const tables = await Promise.all(states.map(async ({ backup }) => (await backup.read()).root.objects));
        for (const [i, table] of tables.slice(1).entries())
          expect(table.slice(0, tables[i]?.length)).toEqual(tables[i]);
      }),
      { numRuns: 4 },
    );
  });

  it("reads back where encryption or compression is not the parent's", async () => {
    const bytes = noise(2 * MIB);
    const parent = await backUp(bytes, {
      encrypted: false,
      settings: { compression: { algorithm: "none", level: 0 } },
    });

    const child = await backUp(Buffer.concat([bytes, noise(MIB, 2)]), { parent: parent.made });

    expect((await child.read()).bytes.equals(Buffer.concat([bytes, noise(MIB, 2)]))).toBe(true);
  });
});

describe("a source that fails", () => {
  it("puts nothing more, although its last packs are still being sealed and hashed", async () => {
    for (const size of [PACK_BYTES - MIB, PACK_BYTES, PACK_BYTES + MIB, 2 * PACK_BYTES + MIB]) {
      const late: string[] = [];
      let isOver = false;
      const put = async (name: string) => {
        if (isOver) late.push(name);
      };
      const own = new WorkerPool(2);
      const made = formatRun(own, { kind: "dump", settings: { put } });
      const dump = { ...dumpOf([noise(size)]), finish: () => Promise.reject(new Error("the dump is not whole")) };

      await expect(writeStreamSource(dump, made.run, made.source)).rejects.toThrow("not whole");
      isOver = true;
      // Tasks are taken in turn: when these are done, so is all that was under way, and what it led to.
      for (let turn = 0; turn < 20; turn++) {
        const range = { buffer: new SharedArrayBuffer(MIB), offset: 0, length: MIB };
        await Promise.all([own.run({ kind: "hash", range }), own.run({ kind: "hash", range })]);
      }
      expect(late).toEqual([]);
      await own.close();
    }
  });

  it("after its last byte has no root, and throws what finish threw", async () => {
    const made = formatRun(pool, { kind: "dump" });
    const dump = { ...dumpOf([noise(MIB)]), finish: () => Promise.reject(new Error("exit status 1")) };

    await expect(writeStreamSource(dump, made.run, made.source)).rejects.toThrow("exit status 1");

    expect(names(made).filter((name) => name.includes(".root."))).toEqual([]);
  });

  it("in the middle throws what it threw", async () => {
    const made = formatRun(pool, { kind: "dump" });
    const pieces = (function* () {
      yield noise(5 * MIB);
      throw new Error("connection lost");
    })();

    await expect(writeStreamSource(dumpOf(pieces), made.run, made.source)).rejects.toThrow("connection lost");
  });

  it("because the worker threads are gone throws why", async () => {
    const gone = new WorkerPool(1);
    await gone.close();
    const made = formatRun(gone, { kind: "dump" });

    await expect(writeStreamSource(dumpOf([noise(100)]), made.run, made.source)).rejects.toThrow("pool was closed");
  });

  it("because the storage does so throws the storage's error and lets go of the dump", async () => {
    const put = () => Promise.reject(new Error("disk full"));
    const made = formatRun(pool, { kind: "dump", settings: { put } });
    let closed = false;
    const pieces = (function* () {
      try {
        for (let i = 0; i < 200; i++) yield noise(MIB, i);
      } finally {
        closed = true;
      }
    })();

    await expect(writeStreamSource(dumpOf(pieces), made.run, made.source)).rejects.toThrow("disk full");

    await vi.waitFor(() => expect(closed).toBe(true));
  });
});

test("a place is sealed once: two runs over the same bytes share no artifact id", async () => {
  const [one, other] = [await backUp(noise(100)), await backUp(noise(100))];

  const ids = [one, other].flatMap(({ artifacts: { data, index, root } }) =>
    [data, index, root].map((a) => a.artifact_id),
  );

  expect(new Set(ids).size).toBe(6);
});

test("the index that is kept is the one that is stored", async () => {
  const { made, artifacts, read } = await backUp(noise(MIB));
  const { root } = await read();

  expect(root.indexSha256).toBe(artifacts.indexSha256);
  expect(readFileSync(made.cache.indexFile)).toHaveLength(root.indexSize);
});
