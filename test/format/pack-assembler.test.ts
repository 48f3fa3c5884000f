import { setImmediate as turn } from "node:timers/promises";
import { afterAll, describe, expect, it, test } from "vitest";
import {
  BLOCK_HEADER_BYTES,
  decodeBlockHeader,
  decodePackHeader,
  encodePackHeader,
  MAX_BLOCK_RAW_BYTES,
  type OpenedBlock,
  openBlock,
  PACK_HEADER_BYTES,
  TAG_BYTES,
} from "../../src/format/block.ts";
import {
  PACK_BYTES,
  PackAssembler,
  type PackAssemblerOptions,
  type PlacedBlock,
} from "../../src/format/pack-assembler.ts";
import { sha256 } from "../../src/format/workers/hashing.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { around, noise } from "../helpers/bytes.ts";

const MIB = 1024 * 1024;
const ARTIFACT_ID = noise(16, 1);
const BACKUP_ID = noise(16, 2);
const KEY = noise(32, 3);
const pool = new WorkerPool(2);
afterAll(() => pool.close());

function assembling(options: Partial<PackAssemblerOptions> = {}) {
  const packs: Buffer[] = [];
  const assembler = new PackAssembler({
    pool,
    compression: { algorithm: "zstd", level: 1 },
    artifactId: ARTIFACT_ID,
    backupId: BACKUP_ID,
    key: KEY,
    check: true,
    put: async (number, bytes) => {
      packs[number] = Buffer.from(bytes);
    },
    ...options,
  });
  return { assembler, packs };
}

/** What a worker would have made of bytes that do not shrink; a copy, because sealing takes the memory away. */
function plain(raw: Uint8Array) {
  return { payload: Uint8Array.from(raw), rawLength: raw.length, compressed: false };
}

const oneChunk = (raw: Uint8Array) => ({ lengths: Uint32Array.of(raw.length), hashes: sha256(raw) });

/** The blocks of a pack: where each is, what is in it, whether it says that it is the last. */
function opened(pack: Buffer, packNumber: number) {
  const header = encodePackHeader({ compression: "zstd", encrypted: true, packNumber, artifactId: ARTIFACT_ID });
  expect(pack.subarray(0, PACK_HEADER_BYTES).equals(header)).toBe(true);
  const blocks: (OpenedBlock & { readonly offset: number })[] = [];
  for (let offset = PACK_HEADER_BYTES; offset < pack.length; ) {
    const end = offset + BLOCK_HEADER_BYTES + decodeBlockHeader(pack.subarray(offset)).storedLength;
    const seal = { header, backupId: BACKUP_ID, packNumber, key: KEY };
    blocks.push({ offset, ...openBlock(seal, "zstd", offset, pack.subarray(offset, end)) });
    offset = end;
  }
  return blocks;
}

describe("an artifact", () => {
  it("has its blocks at the places that were said, the last of them marked", async () => {
    const { assembler, packs } = assembling();
    const raws = [noise(10, 1), noise(0, 2), noise(100_000, 3)];

    const places: PlacedBlock[] = [];
    for (const raw of raws) places.push(await assembler.place(plain(raw), oneChunk(raw)));
    const sizes = await assembler.finish();

    const blocks = opened(packs[0]!, 0);
    expect(sizes).toEqual([packs[0]?.length]);
    expect(blocks.map(({ offset }) => offset)).toEqual(places.map(({ offset }) => offset));
    expect(blocks.map(({ last }) => last)).toEqual([false, false, true]);
    expect(places.map(({ stored }) => stored)).toEqual(raws.map((raw) => raw.length + TAG_BYTES));
    expect(blocks.every(({ raw }, i) => Buffer.compare(raw, raws[i]!) === 0)).toBe(true);
  });

  it("goes on in a next pack where a block does not fit, and only its very last block is marked", async () => {
    const { assembler, packs } = assembling();
    const raw = noise(6 * MIB);

    const places: PlacedBlock[] = [];
    for (let i = 0; i < 5; i++) places.push(await assembler.place(plain(raw), oneChunk(raw)));
    const sizes = await assembler.finish();

    expect(places.map(({ pack }) => pack)).toEqual([0, 0, 1, 1, 2]);
    expect(places.filter(({ offset }) => offset === PACK_HEADER_BYTES)).toHaveLength(3);
    expect(sizes).toEqual(packs.map((pack) => pack.length));
    expect(packs.flatMap((pack, i) => opened(pack, i).map(({ last }) => last))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
    expect(packs.map((pack) => decodePackHeader(pack).packNumber)).toEqual([0, 1, 2]);
  });

  it.each(around(PACK_BYTES))("is one pack of %i bytes, or two", async (size) => {
    const { assembler, packs } = assembling();
    const overhead = PACK_HEADER_BYTES + 2 * (BLOCK_HEADER_BYTES + TAG_BYTES);
    const raws = [noise(MAX_BLOCK_RAW_BYTES), noise(size - overhead - MAX_BLOCK_RAW_BYTES, 2)];

    for (const raw of raws) await assembler.place(plain(raw), oneChunk(raw));
    const sizes = await assembler.finish();

    expect(sizes).toEqual(packs.map((pack) => pack.length));
    expect(sizes).toHaveLength(size > PACK_BYTES ? 2 : 1);
    const blocks = packs.flatMap((pack, i) => opened(pack, i));
    expect(blocks.map(({ raw }, i) => Buffer.compare(raw, raws[i]!))).toEqual([0, 0]);
  });

  it("of no block has no pack", async () => {
    expect(await assembling().assembler.finish()).toEqual([]);
  });
});

describe("with check", () => {
  const wrong = { ...oneChunk(noise(100)), hashes: sha256(noise(100, 2)) };
  const short = { lengths: Uint32Array.of(99), hashes: sha256(noise(100).subarray(0, 99)) };

  it.each([
    ["does not hold the chunks that went in", wrong],
    ["holds more than the chunks that went in", short],
  ])("a block that %s is never stored", async (_, chunks) => {
    const { assembler, packs } = assembling();
    await assembler.place(plain(noise(100)), chunks);

    await expect(assembler.finish()).rejects.toThrow("block does not hold");
    expect(packs).toEqual([]);
  });

  it("a block whose payload does not decompress is never stored", async () => {
    const { assembler, packs } = assembling();
    await assembler.place({ ...plain(noise(100)), compressed: true }, oneChunk(noise(100)));

    await expect(assembler.finish()).rejects.toThrow("block does not decompress");
    expect(packs).toEqual([]);
  });

  it("left out, nothing is looked at", async () => {
    const { assembler, packs } = assembling({ check: false });
    await assembler.place(plain(noise(100)), wrong);
    await assembler.finish();

    expect(packs).toHaveLength(1);
  });
});

test("no more than two packs are in memory, however slow the storage is", async () => {
  const waiting: (() => void)[] = [];
  let stored = 0;
  const { assembler } = assembling({
    put: () => new Promise<void>((resolve) => waiting.push(resolve)).then(() => void stored++),
  });
  const raw = noise(16 * MIB);
  let placed = 0;
  const placing = (async () => {
    for (let i = 0; i < 5; i++) {
      await assembler.place(plain(raw), oneChunk(raw));
      placed++;
    }
    return assembler.finish();
  })();

  // Two wait for the storage, the third is being filled; the fourth has no memory to begin in.
  while (waiting.length < 2) await turn();
  for (let i = 0; i < 20; i++) await turn();
  expect([placed, stored]).toEqual([2, 0]);
  while (stored < 5) {
    for (const resolve of waiting.splice(0)) resolve();
    await turn();
  }
  expect(await placing).toHaveLength(5);
});

test("a failed put ends the placing", async () => {
  const { assembler } = assembling({ put: () => Promise.reject(new Error("disk full")) });
  const raw = noise(16 * MIB);
  const placing = (async () => {
    for (;;) await assembler.place(plain(raw), oneChunk(raw));
  })();

  await expect(placing).rejects.toThrow("disk full");
  await expect(assembler.finish()).rejects.toThrow("disk full");
});
