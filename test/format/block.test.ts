import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  BLOCK_HEADER_BYTES,
  DamageError,
  decodeBlockHeader,
  decodePackHeader,
  encodePackHeader,
  FLAG_LAST,
  FLAG_NOT_COMPRESSED,
  MAX_BLOCK_RAW_BYTES,
  openBlock,
  PACK_HEADER_BYTES,
  type PackHeader,
  type PackSeal,
  sealBlock,
  TAG_BYTES,
} from "../../src/format/block.ts";
import { type Compression, compress } from "../../src/format/compression.ts";
import { around, flipped, noise } from "../helpers/bytes.ts";

const MIB = 1024 * 1024;
const HEADER: PackHeader = { compression: "zstd", encrypted: true, packNumber: 3, artifactId: noise(16, 11) };
const SEALED: PackSeal = {
  header: encodePackHeader(HEADER),
  backupId: noise(16, 12),
  packNumber: 3,
  key: noise(32, 13),
};
const PLAIN: PackSeal = { ...SEALED, header: encodePackHeader({ ...HEADER, encrypted: false }), key: undefined };
const SEALS = [
  ["sealed", SEALED],
  ["unsealed", PLAIN],
] as const;

/** One block as it lies at `offset`, compressed if it shrinks. */
function blockOf(
  raw: Uint8Array,
  { seal = SEALED, offset = PACK_HEADER_BYTES, flags = 0, compression = "zstd" }: Partial<BlockOptions> = {},
): Buffer {
  const packed = compress(raw, { algorithm: compression, level: 3 });
  const payload = packed ?? raw;
  const pack = Buffer.alloc(offset + BLOCK_HEADER_BYTES + payload.length + TAG_BYTES);
  const header = {
    storedLength: payload.length + TAG_BYTES,
    rawLength: raw.length,
    flags: flags | (packed === undefined ? FLAG_NOT_COMPRESSED : 0),
  };
  expect(sealBlock(seal, pack, offset, payload, header)).toBe(pack.length);
  return pack.subarray(offset);
}

interface BlockOptions {
  readonly seal: PackSeal;
  readonly offset: number;
  readonly flags: number;
  readonly compression: Compression["algorithm"];
}

const TEXT = Buffer.from("the same words, the same words, the same words, the same words");

describe.each(SEALS)("a %s block", (_, seal) => {
  it("opens at its place to what went in, whatever that was", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.integer({ min: 0, max: 100_000 }),
        fc.constantFrom("none", "gzip", "zstd"),
        fc.boolean(),
        (raw, offset, compression, last) => {
          const block = blockOf(raw, { seal, offset, compression, flags: last ? FLAG_LAST : 0 });

          const opened = openBlock(seal, compression, offset, block);

          expect(Buffer.compare(opened.raw, raw)).toBe(0);
          expect(opened.last).toBe(last);
        },
      ),
    );
  });

  it.each(
    around(0, MAX_BLOCK_RAW_BYTES).flatMap((size) =>
      (["none", "zstd"] as const).map((compression) => ({ size, compression })),
    ),
  )("of $size bytes opens to them, or is more than any may hold ($compression)", ({ size, compression }) => {
    const raw = noise(size, 5);
    const block = blockOf(raw, { seal, compression });

    const open = () => openBlock(seal, compression, PACK_HEADER_BYTES, block);

    if (size > MAX_BLOCK_RAW_BYTES) expect(open).toThrow(new DamageError("block claims more than 16 MiB"));
    else expect(Buffer.compare(open().raw, raw)).toBe(0);
  });

  it.each([
    ["compressed", TEXT],
    ["not compressed", noise(40)],
    ["empty", Buffer.alloc(0)],
  ])("shows every single bit that was turned over (%s)", (__, raw) => {
    const block = blockOf(raw, { seal });

    for (let bit = 0; bit < block.length * 8; bit++) {
      expect(() => openBlock(seal, "zstd", PACK_HEADER_BYTES, flipped(block, bit))).toThrow(DamageError);
    }
  });

  it("shows that it was cut or went on", () => {
    const block = blockOf(TEXT, { seal });

    for (let length = 0; length < block.length; length++) {
      expect(() => openBlock(seal, "zstd", PACK_HEADER_BYTES, block.subarray(0, length))).toThrow(DamageError);
    }
    const longer = Buffer.concat([block, Buffer.alloc(1)]);
    expect(() => openBlock(seal, "zstd", PACK_HEADER_BYTES, longer)).toThrow(DamageError);
  });

  it.each([
    ["artifact", { header: encodePackHeader({ ...HEADER, encrypted: seal.key !== undefined, artifactId: noise(16) }) }],
    [
      "pack",
      { packNumber: 4, header: encodePackHeader({ ...HEADER, encrypted: seal.key !== undefined, packNumber: 4 }) },
    ],
    ["backup", { backupId: noise(16) }],
  ])("does not open as one of another %s", (__, other) => {
    expect(() => openBlock({ ...seal, ...other }, "zstd", PACK_HEADER_BYTES, blockOf(TEXT, { seal }))).toThrow(
      DamageError,
    );
  });

  it("does not open as one of the other cipher", () => {
    const other = seal.key === undefined ? SEALED : PLAIN;

    expect(() => openBlock(other, "zstd", PACK_HEADER_BYTES, blockOf(TEXT, { seal }))).toThrow(DamageError);
  });
});

test("a sealed block opens neither at another place nor with another key", () => {
  const block = blockOf(TEXT);

  expect(() => openBlock(SEALED, "zstd", PACK_HEADER_BYTES + 1, block)).toThrow(DamageError);
  expect(() => openBlock({ ...SEALED, key: noise(32) }, "zstd", PACK_HEADER_BYTES, block)).toThrow(DamageError);
});

test("a sealed block shows nothing of its content", () => {
  const secret = noise(64, 99);

  expect(blockOf(secret).includes(secret.subarray(0, 8))).toBe(false);
  expect(blockOf(secret, { seal: PLAIN }).includes(secret)).toBe(true);
});

test("a block that is sound but holds more or less than it says is damage", () => {
  const pack = Buffer.alloc(200);
  const header = { storedLength: 50 + TAG_BYTES, rawLength: 49, flags: FLAG_NOT_COMPRESSED };
  const end = sealBlock(SEALED, pack, PACK_HEADER_BYTES, noise(50), header);

  const open = () => openBlock(SEALED, "zstd", PACK_HEADER_BYTES, pack.subarray(PACK_HEADER_BYTES, end));

  expect(open).toThrow(new DamageError("block's raw length can't be right"));
});

test("a block that is sound but does not decompress is damage", () => {
  const payload = noise(50);
  const pack = Buffer.alloc(200);
  const header = { storedLength: 50 + TAG_BYTES, rawLength: 100, flags: 0 };
  const end = sealBlock(SEALED, pack, PACK_HEADER_BYTES, payload, header);

  const open = () => openBlock(SEALED, "zstd", PACK_HEADER_BYTES, pack.subarray(PACK_HEADER_BYTES, end));

  expect(open).toThrow(new DamageError("block does not decompress"));
});

test.each([
  ["zstd", zstdCompressSync],
  ["gzip", gzipSync],
] as const)("a sound %s block that would unpack to far more than it says is damage", (compression, pack) => {
  const payload = pack(Buffer.alloc(256 * MIB));
  const stored = Buffer.alloc(PACK_HEADER_BYTES + BLOCK_HEADER_BYTES + payload.length + TAG_BYTES);
  const header = { storedLength: payload.length + TAG_BYTES, rawLength: payload.length, flags: 0 };
  const end = sealBlock(SEALED, stored, PACK_HEADER_BYTES, payload, header);

  const open = () => openBlock(SEALED, compression, PACK_HEADER_BYTES, stored.subarray(PACK_HEADER_BYTES, end));

  expect(open).toThrow(new DamageError("block does not decompress"));
});

describe("a block header", () => {
  const encode = (stored: number, raw: number, flags: number): Buffer => {
    const bytes = Buffer.alloc(BLOCK_HEADER_BYTES);
    for (const [i, value] of [stored, raw, flags].entries()) bytes.writeUInt32BE(value, i * 4);
    return bytes;
  };

  it.each([
    [TAG_BYTES, 0, 0],
    [16 * MIB + 1024, 16 * MIB, FLAG_LAST | FLAG_NOT_COMPRESSED],
    [100 + 1024, 100, FLAG_LAST],
  ])("of %i stored and %i raw bytes, flags %i, is as it is written", (storedLength, rawLength, flags) => {
    expect(decodeBlockHeader(encode(storedLength, rawLength, flags))).toEqual({ storedLength, rawLength, flags });
  });

  it.each([
    ["more than 16 MiB", encode(100, 16 * MIB + 1, 0)],
    ["all that a number can say", encode(0xffff_ffff, 0xffff_ffff, 0)],
    ["less than a tag", encode(TAG_BYTES - 1, 100, 0)],
    ["1 KiB more stored than raw", encode(100 + 1025, 100, 0)],
    ["an unknown flag", encode(100, 100, 4)],
    ["its highest flag", encode(100, 100, 0x8000_0000)],
    ["only 11 bytes", encode(100, 100, 0).subarray(0, 11)],
  ])("with %s is refused", (_, bytes) => {
    expect(() => decodeBlockHeader(bytes)).toThrow(DamageError);
  });
});

describe("a pack header", () => {
  it("is read as it was written", () => {
    for (const compression of ["none", "gzip", "zstd"] as const) {
      const header = { ...HEADER, compression, encrypted: compression === "gzip", packNumber: 0xffff_ffff };
      expect(decodePackHeader(encodePackHeader(header))).toEqual(header);
    }
  });

  it.each([
    ["another magic", 0, 0x58],
    ["another version", 3, 0x32],
    ["an unknown compression", 4, 3],
    ["an unknown cipher", 5, 2],
    ["a reserved byte", 6, 1],
    ["the other reserved byte", 7, 1],
  ])("with %s is refused", (_, at, value) => {
    const bytes = encodePackHeader(HEADER);
    bytes.writeUInt8(value, at);

    expect(() => decodePackHeader(bytes)).toThrow(DamageError);
  });

  it("that is cut is refused", () => {
    expect(() => decodePackHeader(encodePackHeader(HEADER).subarray(0, PACK_HEADER_BYTES - 1))).toThrow(DamageError);
  });
});
