/**
 * Memory outside of the heap, given back as soon as it is done with. Left to the collector, a megabyte here and there brings about
 * a full collection for every few blocks, which costs a sixth of a run: docs/decisions/0009-speed.md.
 */

/** A part of something small may lie in Node's pool, together with what others still use. */
function isOwn(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && (isWhole(bytes) || bytes.buffer.byteLength > Buffer.poolSize);
}

/** The bytes have their memory to themselves. */
export function isWhole(bytes: Uint8Array): boolean {
  return bytes.byteLength === bytes.buffer.byteLength;
}

/** The caller made these bytes, or was handed them, and nobody looks at them again. Shared memory stays as it is. */
export function giveBack(bytes: Uint8Array): void {
  if (isOwn(bytes)) bytes.buffer.transfer(0);
}

/** The bytes in memory of exactly their size, which can be handed to another thread. They are moved: `bytes` is empty afterwards. */
export function exactly(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!isOwn(bytes) || bytes.byteOffset > 0) return Uint8Array.from(bytes);
  return new Uint8Array(bytes.buffer.transfer(bytes.byteLength));
}
