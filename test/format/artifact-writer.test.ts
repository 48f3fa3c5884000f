import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { StoredArtifact } from "../../src/domain/backup.ts";
import { readArtifact, type WholeBlock } from "../../src/format/artifact-reader.ts";
import { ArtifactWriter, BLOCK_RAW_BYTES } from "../../src/format/artifact-writer.ts";
import { MAX_BLOCK_RAW_BYTES } from "../../src/format/block.ts";
import { ChunkTable } from "../../src/format/chunk-table.ts";
import { artifactKey, idBytes, makeDataKey } from "../../src/format/data-key.ts";
import { SharedBuffers } from "../../src/format/shared-buffers.ts";
import { sha256 } from "../../src/format/workers/hashing.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { backupId } from "../domain/builders.ts";
import { around, noise } from "../helpers/bytes.ts";

const MIB = 1024 * 1024;
const ID = backupId(1);
const NAME = "app.dump.zst.enc";
const ARTIFACT_ID = noise(16);
const pool = new WorkerPool(2);
afterAll(() => pool.close());

/** A writer, and what it has stored. */
function openWriter(put?: (pack: number) => Promise<void>, workers = pool) {
  const dataKey = makeDataKey();
  const packs: Buffer[] = [];
  const table = new ChunkTable("/nowhere");
  const writer = new ArtifactWriter({
    pool: workers,
    compression: { algorithm: "zstd", level: 1 },
    artifactId: ARTIFACT_ID,
    backupId: idBytes(ID),
    key: artifactKey(dataKey, ARTIFACT_ID, ID),
    check: true,
    put: async (pack, bytes) => {
      await put?.(pack);
      packs[pack] = Buffer.from(bytes);
    },
    object: 5,
    table,
  });
  return {
    writer,
    table,
    packs,
    async blocks(sizes: readonly number[]): Promise<WholeBlock[]> {
      const artifact: StoredArtifact = { artifact_id: ARTIFACT_ID.toString("hex"), name: NAME, packs: sizes };
      const source = {
        get: async (_: string, name: string, offset: number, length: number) =>
          Buffer.from(packs[Number(name.slice(NAME.length + 1))]?.subarray(offset, offset + length) ?? []),
        dataKey: async () => dataKey,
      };
      const blocks: WholeBlock[] = [];
      for await (const block of readArtifact(ID, artifact, true, source, pool)) blocks.push(block);
      return blocks;
    },
  };
}

/** Adds chunks of these lengths from a buffer of their own. Gives their records and bytes. */
async function add(writer: ArtifactWriter, lengths: readonly number[], seed = 1) {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const buffer = await new SharedBuffers(total).acquire(total);
  const bytes = noise(total, seed);
  new Uint8Array(buffer.memory).set(bytes);
  let at = 0;
  const chunks = lengths.map((length) => {
    at += length;
    return bytes.subarray(at - length, at);
  });
  const list = { lengths: Uint32Array.from(lengths), hashes: Buffer.concat(chunks.map((chunk) => sha256(chunk))) };
  const records = writer.add(buffer, 0, list);
  buffer.release();
  return { records, chunks };
}

test("chunks lie where their tuples say, in blocks that were closed at a mebibyte", async () => {
  const { writer, table, blocks } = openWriter();
  const lengths = [300_000, 1, MIB - 300_002, 1, 5, MIB, 7, 2 * MIB];

  const { records, chunks } = await add(writer, lengths);
  const stored = await blocks(await writer.finish());

  expect(stored.map(({ raw }) => raw.length)).toEqual([MIB, MIB + 5, 2 * MIB + 7]);
  for (const [i, record] of records.entries()) {
    const [hash, length, object, pack, offset, , inBlock] = JSON.parse(table.tuple(record));
    const block = stored.find((candidate) => candidate.pack === pack && candidate.offset === offset);
    const found = block?.raw.subarray(inBlock, inBlock + length);
    expect([hash, length, object]).toEqual([sha256(chunks[i]!).toString("hex"), lengths[i], 5]);
    expect(Buffer.compare(found!, chunks[i]!)).toBe(0);
  }
});

test("a largest chunk does not join an open block: together they would be more than readers take", async () => {
  const { writer, blocks } = openWriter();

  await add(writer, [MIB - 1]);
  await add(writer, [16 * MIB], 2);
  const stored = await blocks(await writer.finish());

  expect(stored.map(({ raw }) => raw.length)).toEqual([MIB - 1, 16 * MIB]);
});

test("chunks of any lengths lie where their tuples say", async () => {
  const edges = around(1, BLOCK_RAW_BYTES, MAX_BLOCK_RAW_BYTES - BLOCK_RAW_BYTES).filter((length) => length > 0);
  const length = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 300_000 }) }, fc.constantFrom(...edges));
  const groups = fc.array(fc.array(length, { minLength: 1, maxLength: 6 }), { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(groups, async (given) => {
      const { writer, table, blocks } = openWriter();
      const added: Awaited<ReturnType<typeof add>>[] = [];
      for (const [i, lengths] of given.entries()) added.push(await add(writer, lengths, i + 1));

      const stored = await blocks(await writer.finish());

      for (const { raw } of stored) expect(raw.length).toBeLessThanOrEqual(MAX_BLOCK_RAW_BYTES);
      for (const { records, chunks } of added) {
        for (const [i, chunk] of chunks.entries()) {
          const [hash, size, , pack, offset, , inBlock] = JSON.parse(table.tuple(records[i] ?? -1));
          const block = stored.find((candidate) => candidate.pack === pack && candidate.offset === offset);
          expect([hash, size]).toEqual([sha256(chunk).toString("hex"), chunk.length]);
          expect(chunk.equals(block?.raw.subarray(inBlock, inBlock + size) ?? Buffer.alloc(0))).toBe(true);
        }
      }
      const unique = new Map(added.flatMap(({ records, chunks }) => records.map((record, i) => [record, chunks[i]])));
      const bytes = [...unique.values()].reduce((sum, chunk) => sum + (chunk?.length ?? 0), 0);
      expect([writer.newRawBytes, stored.reduce((sum, { raw }) => sum + raw.length, 0)]).toEqual([bytes, bytes]);
    }),
    { numRuns: 12 },
  );
});

test("a known chunk gets its old record, and only new bytes are counted", async () => {
  const { writer } = openWriter();

  const first = await add(writer, [1000, 2000]);
  const again = await add(writer, [1000, 2000]);
  await writer.finish();

  expect(again.records).toEqual(first.records);
  expect(writer.newRawBytes).toBe(3000);
});

test("a block with little new from many buffers is closed before it holds too much memory", async () => {
  const { writer } = openWriter();
  const buffers = new SharedBuffers(12 * MIB, 1);

  // One new byte in each buffer of 2 MiB: were the block left open until it is full, the seventh buffer never came.
  for (let i = 0; i < 20; i++) {
    const buffer = await buffers.acquire(2 * MIB);
    new Uint8Array(buffer.memory).set([i]);
    writer.add(buffer, 0, { lengths: Uint32Array.of(1), hashes: sha256(Uint8Array.of(i)) });
    buffer.release();
  }
  await writer.finish();

  expect(writer.newRawBytes).toBe(20);
});

test("what was added is placed once its block is closed", async () => {
  const { writer, table } = openWriter();
  const { records } = await add(writer, [10]);
  const block = writer.currentBlock;

  expect(block).toBe(1);
  writer.closeBlock();
  await writer.placed(block);

  expect(JSON.parse(table.tuple(records[0]!))[1]).toBe(10);
  await writer.finish();
});

test("a pack that can't be stored fails the artifact, and whoever waits for a place", async () => {
  const { writer } = openWriter(() => Promise.reject(new Error("disk full")));
  for (let i = 0; i < 18; i++) await add(writer, [MIB], i);

  await expect(writer.finish()).rejects.toThrow("disk full");
});

test("a pool that is gone fails the artifact, and whoever asks for a place afterwards", async () => {
  const gone = new WorkerPool(1);
  await gone.close();
  const { writer } = openWriter(undefined, gone);
  await add(writer, [MIB]);

  await expect(writer.finish()).rejects.toThrow("the worker pool was closed");
  await expect(writer.placed(1)).rejects.toThrow("the worker pool was closed");
});

test("nothing added, nothing stored", async () => {
  const { writer, packs } = openWriter();

  expect(await writer.finish()).toEqual([]);
  expect(packs).toEqual([]);
});
