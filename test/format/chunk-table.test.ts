import { readdirSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ChunkLocation, ChunkTable } from "../../src/format/chunk-table.ts";
import { noise } from "../helpers/bytes.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const HASH_BYTES = 32;
/** More than are kept in memory. */
const MANY = 700_000;

const location = (n: number): ChunkLocation => ({
  object: n % 7,
  pack: n % 99_999_999,
  blockOffset: 28 + n,
  blockStored: 17 + n,
  offsetInBlock: n * 3,
});

function tupleOf(hash: Buffer, length: number, at: ChunkLocation): string {
  const { object, pack, blockOffset, blockStored, offsetInBlock } = at;
  return JSON.stringify([hash.toString("hex"), length, object, pack, blockOffset, blockStored, offsetInBlock]);
}

test("finds what was added, by its whole hash, and nothing else", () => {
  // Only the last byte tells some apart: hashes that begin alike must not be taken for each other.
  const hash = fc.tuple(fc.nat(3), fc.nat(3)).map(([first, last]) => {
    const bytes = Buffer.alloc(HASH_BYTES, first);
    bytes[HASH_BYTES - 1] = last;
    return bytes;
  });
  fc.assert(
    fc.property(fc.array(hash), fc.array(hash), (added, asked) => {
      const table = new ChunkTable("/nowhere");
      const known = new Map<string, number>();
      for (const bytes of added) {
        const record = table.find(bytes, 0);
        expect(record).toBe(known.get(bytes.toString("hex")) ?? -1);
        if (record < 0) known.set(bytes.toString("hex"), table.add(bytes, 0, 1));
      }
      for (const bytes of asked) expect(table.find(bytes, 0)).toBe(known.get(bytes.toString("hex")) ?? -1);
      expect(table.size).toBe(known.size);
    }),
  );
});

test("a chunk has no tuple before it has a place, and then the one of its place", () => {
  const table = new ChunkTable("/nowhere");
  const hashes = noise(3 * HASH_BYTES);
  const records = [0, 1, 2].map((i) => table.add(hashes, i * HASH_BYTES, 1000 + i));

  expect(() => table.tuple(1)).toThrow("no place yet");
  table.place(1, location(5));
  expect(table.tuple(1)).toBe(tupleOf(hashes.subarray(HASH_BYTES, 2 * HASH_BYTES), 1001, location(5)));
  expect(records).toEqual([0, 1, 2]);
});

test("numbers up to the largest that the format has come back", () => {
  const table = new ChunkTable("/nowhere");
  const most = 2 ** 32 - 1;
  const place = { object: most, pack: most, blockOffset: most, blockStored: most, offsetInBlock: most };
  const hash = noise(HASH_BYTES);

  expect(table.tuple(table.add(hash, 0, most, place))).toBe(tupleOf(hash, most, place));
});

test("what is known from before is loaded at the first question, once", () => {
  const hash = noise(HASH_BYTES);
  let loads = 0;
  const table = new ChunkTable("/nowhere", (empty) => {
    loads++;
    empty.add(hash, 0, 10, location(1));
  });

  expect([table.size, loads]).toEqual([0, 0]);
  expect(table.find(noise(HASH_BYTES, 2), 0)).toBe(-1);
  expect(table.find(hash, 0)).toBe(0);
  expect(loads).toBe(1);
});

test("more than fits into memory goes on in a file that nobody sees, and is all found", () => {
  const directory = tempDir();
  const table = new ChunkTable(directory);
  const hashes = noise(MANY * HASH_BYTES);
  for (let i = 0; i < MANY; i++) table.add(hashes, i * HASH_BYTES, i);
  for (let i = 0; i < MANY; i += 1000) table.place(i, location(i));

  const wrong: number[] = [];
  for (let i = 0; i < MANY; i += 97) if (table.find(hashes, i * HASH_BYTES) !== i) wrong.push(i);
  const unknown = noise(1000 * HASH_BYTES, 2);
  for (let i = 0; i < 1000; i++) if (table.find(unknown, i * HASH_BYTES) !== -1) wrong.push(-i);
  const tuples = [0, 655_000, 656_000, MANY - 1000].map((i) => table.tuple(i));

  expect(wrong).toEqual([]);
  expect(tuples).toEqual(
    [0, 655_000, 656_000, MANY - 1000].map((i) =>
      tupleOf(hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), i, location(i)),
    ),
  );
  expect(() => table.tuple(MANY - 1)).toThrow("no place yet");
  expect(readdirSync(directory)).toEqual([]);
  table.close();
});
