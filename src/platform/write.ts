import { writeSync } from "node:fs";

/**
 * For more at a time Linux looks for memory in large pieces for the page cache, which take several times as long to come by on
 * a virtual machine: docs/decisions/0009-speed.md.
 */
export const LARGEST_WRITE_BYTES = 128 * 1024;

/** Writes all of the bytes, at a position of the file or where it stands. */
export function writeFully(descriptor: number, bytes: Uint8Array, position?: number): void {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(LARGEST_WRITE_BYTES, bytes.length - done);
    done += writeSync(descriptor, bytes, done, length, position === undefined ? null : position + done);
  }
}
