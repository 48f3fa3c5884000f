import { expect, it } from "vitest";
import { exactly, giveBack } from "../../src/platform/own-memory.ts";

const LARGE = 2 * Buffer.poolSize;

it("gives back memory that holds nothing else", () => {
  const bytes = new Uint8Array(LARGE);

  giveBack(bytes.subarray(0, 10));

  expect(bytes.length).toBe(0);
});

it("leaves shared memory, and what may lie in Node's pool, to their other users", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(LARGE));
  const pooled = Buffer.from("pooled");
  const neighbour = Buffer.from("neighbour");

  giveBack(shared);
  giveBack(pooled);

  expect([shared.length, pooled.toString(), neighbour.toString()]).toEqual([LARGE, "pooled", "neighbour"]);
});

it.each([
  ["the beginning of a large buffer", () => Buffer.from("x".repeat(LARGE)).subarray(0, LARGE - 1)],
  ["the middle of one", () => Buffer.from("x".repeat(LARGE)).subarray(1, LARGE)],
  ["a piece of the pool", () => Buffer.from("small")],
  ["shared memory", () => new Uint8Array(new SharedArrayBuffer(3))],
])("moves %s into memory of exactly its size", (_, make) => {
  const text = Buffer.from(make()).toString("latin1");

  const moved = exactly(make());

  expect(Buffer.from(moved).toString("latin1")).toBe(text);
  expect(moved.buffer.byteLength).toBe(text.length);
});
