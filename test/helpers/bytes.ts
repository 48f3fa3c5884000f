import { createCipheriv } from "node:crypto";

/** Bytes that do not compress, the same for the same seed: what fails once fails again. */
export function noise(length: number, seed = 1): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(seed);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Each of these sizes, one byte less and one more. */
export function around(...sizes: readonly number[]): readonly number[] {
  const all = sizes.flatMap((size) => [size - 1, size, size + 1]);
  return [...new Set(all)].filter((size) => size >= 0).sort((a, b) => a - b);
}

/** A copy with one bit turned over. */
export function flipped(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return copy;
}
