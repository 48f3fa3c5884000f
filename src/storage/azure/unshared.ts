/** The same bytes where a library may have them: those of shared memory are copied, others are not. */
export function unshared(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer ? Buffer.from(buffer, bytes.byteOffset, bytes.length) : Buffer.from(bytes);
}
