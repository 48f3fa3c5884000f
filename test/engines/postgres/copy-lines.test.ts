import fc from "fast-check";
import { expect, test } from "vitest";
import { CopyLines } from "../../../src/engines/postgres/copy-lines.ts";

/** Mostly newlines and what looks like a chunk's head, so that one taken for the other shows. */
const rows = fc.uint8Array({ min: 0, max: 12, minLength: 1, maxLength: 90 }).map((bytes) => Buffer.from(bytes));

function chunk(row: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32LE(row.length, 1);
  return Buffer.concat([head, row]);
}

function expected(data: Buffer): { lines: number; tail: Buffer } {
  const lines = data.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
  return { lines, tail: Buffer.concat([Buffer.alloc(8), data]).subarray(-8) };
}

function found({ lines, tail }: CopyLines): { lines: number; tail: Buffer } {
  return { lines, tail };
}

const copied = new CopyLines();

test("counts the newlines of rows, not of what says how long they are, and keeps the last eight bytes", () => {
  fc.assert(
    fc.property(fc.array(rows), fc.nat(40), (chunks, before) => {
      const bytes = Buffer.concat([Buffer.alloc(before, "\n"), ...chunks.map(chunk)]);
      copied.begin();
      expect(copied.addChunks(bytes, before)).toBe(bytes.length);
      expect(found(copied)).toEqual(expected(Buffer.concat(chunks)));
    }),
  );
});

test("counts the same of rows that come in parts", () => {
  fc.assert(
    fc.property(fc.array(rows, { minLength: 1 }), fc.array(fc.nat(90)), (parts, cuts) => {
      const data = Buffer.concat(parts);
      const places = [0, ...cuts.filter((cut) => cut < data.length).sort((a, b) => a - b), data.length];
      copied.begin();
      for (const [i, start] of places.slice(0, -1).entries()) copied.add(data, start, places[i + 1] ?? start);
      expect(found(copied)).toEqual(expected(data));
    }),
  );
});

test.each([
  ["is cut", chunk(Buffer.from("a row\n")).subarray(0, -1)],
  ["is cut in its head", chunk(Buffer.from("a row\n")).subarray(0, 4)],
  ["is the empty one, which ends the data", Buffer.alloc(5)],
  ["has a negative length", Buffer.from([1, 1, 0, 0, 0, 10])],
  ["claims more than there can be", Buffer.from([0, 255, 255, 255, 255, 10])],
])("stops before a chunk that %s", (_, last) => {
  const row = chunk(Buffer.from("one\n"));
  copied.begin();
  expect(copied.addChunks(Buffer.concat([row, last]), 0)).toBe(row.length);
  expect(copied.lines).toBe(1);
});

test("goes on where its window ended", () => {
  const chunks = Array.from({ length: 3000 }, (_, i) => chunk(Buffer.from(`${"x".repeat(i % 100)}\n`)));
  const bytes = Buffer.concat(chunks);
  copied.begin();
  let at = 0;
  for (let next = -1; next !== at; ) {
    next = at;
    at = copied.addChunks(bytes, at);
  }
  expect(at).toBe(bytes.length);
  expect(copied.lines).toBe(3000);
  copied.begin();
  copied.add(bytes, 0, bytes.length);
  expect(copied.lines).toBe(expected(bytes).lines);
});
