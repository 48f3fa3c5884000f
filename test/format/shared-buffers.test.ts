import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type SharedBuffer, SharedBuffers } from "../../src/format/shared-buffers.ts";

test("never more than the budget is in use, and everybody gets theirs in the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 40 }), async (sizes) => {
      const buffers = new SharedBuffers(100, 1);
      let inUse = 0;
      let most = 0;
      const use = async (size: number): Promise<void> => {
        const buffer = await buffers.acquire(size);
        expect(buffer.memory.byteLength).toBe(size);
        inUse += size;
        most = Math.max(most, inUse);
        await turn();
        inUse -= size;
        buffer.release();
      };

      await Promise.all(sizes.map(use));

      expect(most).toBeLessThanOrEqual(100);
    }),
    { numRuns: 30 },
  );
});

test("the least number of buffers may always be had, however large", async () => {
  const buffers = new SharedBuffers(10, 3);
  const large = await Promise.all([buffers.acquire(1000), buffers.acquire(1000), buffers.acquire(1000)]);
  const fourth = acquired(buffers.acquire(1000));

  await turn();
  expect(fourth.buffer).toBeUndefined();
  large[1].release();
  await turn();
  expect(fourth.buffer?.memory).toBe(large[1].memory);
});

test("memory is reused only when its last holder has released it", async () => {
  const buffers = new SharedBuffers(10, 1);
  const first = await buffers.acquire(10);
  first.hold();
  const next = acquired(buffers.acquire(10));

  first.release();
  await turn();
  expect(next.buffer).toBeUndefined();
  first.release();
  await turn();
  expect(next.buffer?.memory).toBe(first.memory);
});

function acquired(waiting: Promise<SharedBuffer>): { buffer: SharedBuffer | undefined } {
  const state: { buffer: SharedBuffer | undefined } = { buffer: undefined };
  void waiting.then((buffer) => {
    state.buffer = buffer;
  });
  return state;
}
