import { hash } from "node:crypto";

export const HASH_BYTES = 32;

/** SHA-256 of bytes, raw. */
export function sha256(bytes: Uint8Array): Buffer {
  return hash("sha256", bytes, "buffer");
}

/** SHA-256 of bytes, in hex. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

/**
 * Compares spans (pairs of offset and length) of `raw` with their hashes, 32 bytes each.
 * Gives the offset of the first that differs or lies outside.
 */
export function findMismatch(raw: Uint8Array, spans: Uint32Array, hashes: Uint8Array): number | undefined {
  for (let i = 0; i * 2 < spans.length; i++) {
    const offset = spans[i * 2] as number;
    const length = spans[i * 2 + 1] as number;
    if (offset + length > raw.length) return offset;
    const found = sha256(raw.subarray(offset, offset + length));
    if (found.compare(hashes, i * HASH_BYTES, (i + 1) * HASH_BYTES) !== 0) return offset;
  }
  return undefined;
}
