import fc from "fast-check";
import { expect, test } from "vitest";
import { copyToShared } from "../../src/platform/shared-memory.ts";

test("copies any bytes to any place of shared memory, and nothing beside them", () => {
  const whole = fc.uint8Array({ minLength: 64, maxLength: 5000 });
  fc.assert(
    fc.property(whole, fc.nat(63), fc.nat(4000), fc.nat(17), (bytes, start, offset, before) => {
      const part = bytes.subarray(start);
      const memory = new SharedArrayBuffer(before + offset + part.length + 16);
      const to = new Uint8Array(memory, before);
      to.fill(0xa5);
      copyToShared(part, to, offset);

      const expected = new Uint8Array(memory.byteLength).fill(0xa5, before);
      expected.set(part, before + offset);
      expect(Buffer.from(memory).equals(expected)).toBe(true);
    }),
  );
});

test("copies nothing where there is nothing", () => {
  const to = new Uint8Array(new SharedArrayBuffer(4)).fill(7);
  copyToShared(new Uint8Array(), to, 2);
  expect([...to]).toEqual([7, 7, 7, 7]);
});
