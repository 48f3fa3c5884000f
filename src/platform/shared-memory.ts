/**
 * Copies bytes to memory that threads share. By `fill()`, which Node does as one plain copy: `set()` and `copy()` go word by word there, and
 * byte by byte, ten times as slow, where both sides are not aligned alike (docs/decisions/0009-speed.md).
 * @param to where they fit from `offset` on
 */
export function copyToShared(bytes: Uint8Array, to: Uint8Array, offset = 0): void {
  if (bytes.length === 0) return;
  Buffer.from(to.buffer, to.byteOffset, to.length).fill(bytes, offset, offset + bytes.length);
}
