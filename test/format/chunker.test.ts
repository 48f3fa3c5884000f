import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { type ChunkSizes, dataChunksAt, GEAR, INDEX_CHUNKS, nextChunkLength } from "../../src/format/chunker.ts";
import { around, noise } from "../helpers/bytes.ts";

const KIB = 1024;
const GIB = 1024 ** 3;
const SMALL: ChunkSizes = { minimum: 64, average: 256, maximum: 1024 };

function cut(bytes: Uint8Array, sizes: ChunkSizes): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunks.at(-1)?.length ?? 0) {
    chunks.push(Buffer.from(bytes.subarray(at, at + nextChunkLength(bytes, at, bytes.length, sizes, true))));
  }
  return chunks;
}

/** As `cut`, but told of one byte more at a time. */
function cutByteByByte(bytes: Uint8Array, sizes: ChunkSizes): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let end = 1; end <= bytes.length; end++) {
    const length = nextChunkLength(bytes, at, end, sizes, end === bytes.length);
    if (length === 0) continue;
    chunks.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  if (at < bytes.length) chunks.push(Buffer.from(bytes.subarray(at)));
  return chunks;
}

/** The rule of docs/format.md as it is written there, a byte at a time. */
function lengthByTheRule(bytes: Uint8Array, { minimum, average, maximum }: ChunkSizes): number {
  const bits = Math.log2(average);
  let hash = 0;
  for (let length = minimum + 1; length <= Math.min(bytes.length, maximum); length++) {
    hash = ((hash << 1) + (GEAR[bytes[length - 1] ?? 0] ?? 0)) | 0;
    const zeroBits = length <= average ? bits + 1 : bits - 1;
    if (hash >>> (32 - zeroBits) === 0) return length;
  }
  return Math.min(bytes.length, maximum);
}

/** Random bytes in runs: some look like dumps, some like zeros. */
const content = fc
  .array(fc.record({ seed: fc.nat(), length: fc.nat(3000), zeros: fc.boolean() }), { maxLength: 6 })
  .map((runs) =>
    Buffer.concat(runs.map(({ seed, length, zeros }) => (zeros ? Buffer.alloc(length) : noise(length, seed)))),
  );

test("the gear table is the one of the format", () => {
  const sha256 = createHash("sha256").update(GEAR).digest("hex");

  expect(GEAR).toHaveLength(256);
  expect(GEAR[0]).toBe(createHash("sha256").update("backupctl/1/gear\0").digest().readInt32BE());
  expect(sha256).toBe("d452cafb000c376bd161edda2569eacec47cbbb9f4335b6155584df87c4f004e");
});

describe("cutting", () => {
  it("gives all bytes back in order, in chunks between minimum and maximum but for the last", () => {
    fc.assert(
      fc.property(content, (bytes) => {
        const chunks = cut(bytes, SMALL);

        expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
        for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(SMALL.maximum);
        for (const chunk of chunks.slice(0, -1)) expect(chunk.length).toBeGreaterThan(SMALL.minimum);
      }),
    );
  });

  it.each([SMALL, INDEX_CHUNKS, dataChunksAt(0), dataChunksAt(16 * GIB)])(
    "follows the rule for an average of $average",
    (sizes) => {
      fc.assert(
        fc.property(fc.nat(), fc.double({ min: 0, max: 1.1, noNaN: true }), fc.nat(3), (seed, part, start) => {
          const bytes = noise(start + Math.floor(part * sizes.maximum), seed);
          const rest = bytes.subarray(start);

          expect(nextChunkLength(bytes, start, bytes.length, sizes, true)).toBe(lengthByTheRule(rest, sizes));
        }),
        { numRuns: 20 },
      );
    },
  );

  it("does not depend on how many bytes are there at a time", () => {
    fc.assert(
      fc.property(content, (bytes) => {
        expect(cutByteByByte(bytes, SMALL)).toEqual(cut(bytes, SMALL));
      }),
      { numRuns: 30 },
    );
  });

  const everySize = [SMALL, INDEX_CHUNKS, dataChunksAt(0), dataChunksAt(8 * GIB)].flatMap((sizes) =>
    around(0, sizes.minimum, sizes.average, sizes.maximum, sizes.maximum + sizes.minimum).map((length) => ({
      average: sizes.average,
      sizes,
      length,
    })),
  );

  it.each(everySize)("takes $length bytes as the rule says for an average of $average", ({ sizes, length }) => {
    for (const bytes of [noise(length, length), Buffer.alloc(length)]) {
      const chunks = cut(bytes, sizes);

      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
      let at = 0;
      for (const chunk of chunks) {
        expect(chunk.length).toBe(lengthByTheRule(bytes.subarray(at), sizes));
        at += chunk.length;
      }
      const first = nextChunkLength(bytes, 0, length, sizes, false);
      expect([first === 0, first === chunks[0]?.length]).toContain(true);
      if (length <= sizes.minimum) expect(first).toBe(0);
      if (length >= sizes.maximum) expect(first).toBe(chunks[0]?.length);
    }
  });

  it("moves only boundaries near an insertion", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(99_999), fc.uint8Array({ minLength: 1, maxLength: 200 }), (seed, at, inserted) => {
        const bytes = noise(100_000, seed);
        const changed = Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);

        const known = new Set(cut(bytes, SMALL).map((chunk) => chunk.toString("hex")));
        const added = cut(changed, SMALL).filter((chunk) => !known.has(chunk.toString("hex")));

        expect(Buffer.concat(added).length).toBeLessThan(20 * SMALL.average);
      }),
    );
  });

  it("gathers sizes around the average", () => {
    const lengths = cut(noise(4_000_000), SMALL).map((chunk) => chunk.length);
    const mean = 4_000_000 / lengths.length;

    expect(mean).toBeGreaterThan(SMALL.average * 0.8);
    expect(mean).toBeLessThan(SMALL.average * 1.6);
  });
});

describe("chunk sizes", () => {
  it.each([
    [0, 64 * KIB],
    [8 * GIB - 1, 64 * KIB],
    [8 * GIB, 128 * KIB],
    [16 * GIB - 1, 128 * KIB],
    [16 * GIB, 256 * KIB],
    [256 * GIB - 1, 2048 * KIB],
    [256 * GIB, 4096 * KIB],
    [1024 * 1024 * GIB, 4096 * KIB],
  ])("at position %i have the average %i", (position, average) => {
    expect(dataChunksAt(position)).toEqual({ minimum: average / 4, average, maximum: average * 4 });
  });

  it("of an index are 8 KiB on average", () => {
    expect(INDEX_CHUNKS).toEqual({ minimum: 2 * KIB, average: 8 * KIB, maximum: 32 * KIB });
  });
});

test("the same bytes are always cut at the places of the format", () => {
  const lengths = (sizes: ChunkSizes) => cut(noise(600_000, 7), sizes).map((chunk) => chunk.length);

  expect(lengths(dataChunksAt(0))).toEqual([
    22_306, 74_805, 79_795, 66_494, 88_749, 102_694, 53_550, 20_592, 70_073, 20_942,
  ]);
  expect(lengths(dataChunksAt(256 * GIB))).toEqual([600_000]);
  expect(lengths(INDEX_CHUNKS).slice(0, 8)).toEqual([12_040, 6837, 3429, 2518, 18_462, 11_860, 9974, 8622]);
});
