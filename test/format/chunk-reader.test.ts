import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DamageError } from "../../src/format/block.ts";
import { ChunkReader } from "../../src/format/chunk-reader.ts";
import { type PackSource, StoredDamage } from "../../src/format/pack-source.ts";
import type { ChunkRef, Root } from "../../src/format/root.ts";
import { writeStreamSource } from "../../src/format/source-writer.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { flipped, noise } from "../helpers/bytes.ts";
import { type FormatRun, formatRun, readStream } from "../helpers/format-run.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";

const MIB = 1024 * 1024;
const pool = new WorkerPool(2);
afterAll(() => pool.close());

/** Two backups: the second stores what is new, in blocks beside those of the first. */
describe.each([
  ["sealed", true, "zstd"],
  ["unsealed and uncompressed", false, "none"],
] as const)("chunks of %s blocks", (_, encrypted, algorithm) => {
  const directories = [suiteTempDir(), suiteTempDir()];
  const bytes = Buffer.concat([noise(20 * MIB), noise(2 * MIB, 2), Buffer.alloc(3 * MIB)]);
  let made: FormatRun;
  let root: Root;
  let chunks: readonly ChunkRef[];
  let contents: readonly Buffer[];

  beforeAll(async () => {
    const settings = { compression: { algorithm, level: 1 } };
    const states = [bytes.subarray(0, 20 * MIB), bytes];
    for (const [i, state] of states.entries()) {
      const parent = i === 0 ? {} : { parent: made };
      made = formatRun(pool, { kind: "dump", encrypted, settings, directory: directories[i]!, ...parent });
      const dump = {
        bytes: (async function* () {
          yield Buffer.from(state);
        })(),
        finish: async () => ({ entries: [] }),
      };
      const { artifacts } = await writeStreamSource(dump, made.run, made.source);
      const read = await readStream(made, artifacts, directories[i]);
      root = read.root;
      chunks = read.index.chunks;
    }
    let at = 0;
    contents = chunks.map(({ length }) => {
      at += length;
      return bytes.subarray(at - length, at);
    });
  });

  async function read(wanted: readonly ChunkRef[], packs: PackSource = made.packs): Promise<Buffer[]> {
    const found: Buffer[] = [];
    const asked = wanted.map((chunk, what) => ({ chunk, what }));
    for await (const { bytes: raw, what, chunk } of new ChunkReader(packs, pool, root.objects).read(asked)) {
      expect([what, chunk]).toEqual([found.length, wanted[found.length]]);
      found.push(Buffer.from(raw));
    }
    return found;
  }

  it("come in the order they are asked for, whatever that is and however often", async () => {
    const some = fc.array(fc.nat(chunks.length - 1), { maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(some, async (places) => {
        const found = await read(places.map((place) => chunks[place]!));

        expect(found.every((raw, i) => raw.equals(contents[places[i]!]!))).toBe(true);
        expect(found).toHaveLength(places.length);
      }),
      { numRuns: 6 },
    );
  });

  it("are fetched in ranges of some mebibytes, each byte once", async () => {
    const asked: number[] = [];
    const packs: PackSource = {
      ...made.packs,
      get: (origin, name, offset, length) => {
        asked.push(length);
        return made.packs.get(origin, name, offset, length);
      },
    };

    await read(chunks, packs);

    const total = asked.reduce((sum, length) => sum + length, 0);
    expect(total).toBeLessThan(bytes.length + 100_000);
    expect(asked.length).toBeLessThan(20);
    expect(Math.max(...asked)).toBeLessThan(6 * MIB);
  });

  it("show every damage in what they were stored in, and name the object", async () => {
    const [object] = [...made.objects.keys()].filter((name) => !/index|root/.test(name));
    const pack = made.objects.get(object!)!;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 28 * 8, max: pack.length * 8 - 1 }), async (bit) => {
        const packs: PackSource = {
          ...made.packs,
          get: async (origin, name, offset, length) =>
            name === object && origin === made.run.backupId
              ? flipped(pack, bit).subarray(offset, offset + length)
              : made.packs.get(origin, name, offset, length),
        };
        await expect(read(chunks, packs)).rejects.toMatchObject({ objectName: object, origin: made.run.backupId });
      }),
      { numRuns: 5 },
    );
  });

  it.each<[string, (bytes: Buffer) => Buffer | undefined, string]>([
    ["missing", () => undefined, "is missing"],
    ["cut", (range) => range.subarray(0, -1), "is cut"],
    ["empty", () => Buffer.alloc(0), "is cut"],
  ])("in a pack that is %s are damaged", async (__, change, message) => {
    const packs: PackSource = {
      ...made.packs,
      get: async (...asked) => {
        const range = await made.packs.get(...asked);
        return range === undefined ? undefined : change(range);
      },
    };

    const error = await read(chunks, packs).catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(StoredDamage);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
  });

  it.each<[string, (chunk: ChunkRef) => ChunkRef]>([
    ["hash", (chunk) => ({ ...chunk, sha256: "0".repeat(64) })],
    ["length", (chunk) => ({ ...chunk, length: chunk.length - 1 })],
    ["length, beyond the block", (chunk) => ({ ...chunk, length: chunk.length + 4 * MIB })],
    ["place in the block", (chunk) => ({ ...chunk, offsetInBlock: chunk.offsetInBlock + 1 })],
    ["place behind the block", (chunk) => ({ ...chunk, offsetInBlock: 16 * MIB })],
    ["block", (chunk) => ({ ...chunk, blockOffset: chunk.blockOffset + 1 })],
    ["block's length", (chunk) => ({ ...chunk, blockStored: chunk.blockStored - 1 })],
    ["pack", (chunk) => ({ ...chunk, pack: 77 })],
  ])(
    "are damaged if the %s is not the one that was written, also where the block is open already",
    async (__, change) => {
      const first = chunks[0]!;

      await expect(read([change(first)])).rejects.toThrow(StoredDamage);
      // Far enough behind that it comes with another group, and finds the block of the first one kept.
      const many = Array.from({ length: Math.ceil((9 * MIB) / first.length) }, () => first);
      const isOtherBlock = change(first).blockOffset !== first.blockOffset || change(first).pack !== first.pack;
      const isSameBlock = !isOtherBlock && change(first).blockStored === first.blockStored;
      if (isSameBlock) await expect(read([...many, change(first)])).rejects.toThrow(StoredDamage);
    },
  );

  it("that name an object which the root does not list are damaged", async () => {
    await expect(read([{ ...chunks[0]!, object: 9 }])).rejects.toThrow(DamageError);
  });
});
