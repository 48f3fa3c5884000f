import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { COMPRESSION_CODES, compress, compressionOf, decompress } from "../../src/format/compression.ts";
import { noise } from "../helpers/bytes.ts";

const CODECS = [
  { algorithm: "gzip", level: 1 },
  { algorithm: "gzip", level: 9 },
  { algorithm: "zstd", level: 3 },
  { algorithm: "zstd", level: 19 },
] as const;

describe.each(CODECS)("$algorithm at level $level", (compression) => {
  const { algorithm } = compression;

  it("gives back what it packed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 2, max: 500 }), (piece, times) => {
        const raw = Buffer.concat(Array.from({ length: times }, () => piece));
        const packed = compress(raw, compression);

        if (packed !== undefined) {
          expect(packed.length).toBeLessThan(raw.length);
          expect(Buffer.compare(decompress(packed, algorithm, raw.length), raw)).toBe(0);
        }
      }),
    );
  });

  it.each([64 * 1024, 128 * 1024 - 1024, 128 * 1024, 128 * 1024 + 1, 1024 * 1024])(
    "gives back %i bytes, around the sizes of its buffers",
    (length) => {
      const raw = Buffer.alloc(length, noise(1000));

      expect(Buffer.compare(decompress(compress(raw, compression) ?? raw, algorithm, length), raw)).toBe(0);
    },
  );

  it.each([0, 1, 100, 128 * 1024])("leaves %i bytes of noise as they are", (length) => {
    expect(compress(noise(length), compression)).toBeUndefined();
  });
});

test("nothing is compressed with none", () => {
  expect(compress(Buffer.alloc(1000), { algorithm: "none", level: 0 })).toBeUndefined();
});

describe.each([
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
] as const)("%s that is not what the block says", (algorithm, pack) => {
  it("is given up as soon as it holds more", () => {
    const bomb = pack(Buffer.alloc(16 * 1024 * 1024));

    // Not its own complaint about the length: that would come after all was unpacked.
    expect(() => decompress(bomb, algorithm, 1000)).toThrow(expect.objectContaining({ code: "ERR_BUFFER_TOO_LARGE" }));
  });

  it.each([0, 1, 999, 1001, 4096])("is refused where 1000 bytes were said to be %i", (said) => {
    expect(() => decompress(pack(noise(1000)), algorithm, said)).toThrow();
  });

  it("is refused where its end is missing", () => {
    const packed = pack(Buffer.alloc(5000, noise(500)));

    for (let length = 0; length < packed.length; length++) {
      expect(() => decompress(packed.subarray(0, length), algorithm, 5000)).toThrow();
    }
  });
});

test("each algorithm has its code, and other codes have none", () => {
  for (const algorithm of ["none", "gzip", "zstd"] as const) {
    expect(compressionOf(COMPRESSION_CODES[algorithm])).toBe(algorithm);
  }
  expect([3, 4, 255].map(compressionOf)).toEqual([undefined, undefined, undefined]);
});
