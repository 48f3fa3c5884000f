import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { errnoOf } from "../files.ts";
import { openForReading } from "../walk.ts";

/** A range of a file and what it must hash to; without a hash it must be zeros. */
export interface ExpectedRange {
  readonly offset: number;
  readonly length: number;
  readonly sha256: string | undefined;
}

/**
 * Reads a file back and compares it range by range. Returns what is wrong, or `undefined`.
 * @param name the file's absolute path without its first slash, raw bytes
 */
export function contentProblem(name: Buffer, ranges: Iterable<ExpectedRange>): string | undefined {
  let fd: number;
  try {
    fd = openForReading(name);
  } catch (error) {
    return `can't be read (${errnoOf(error) ?? String(error)})`;
  }
  try {
    for (const { offset, length, sha256 } of ranges) {
      if (!(sha256 === undefined ? isZero(fd, offset, length) : hashOf(fd, offset, length) === sha256)) {
        return `differs at byte ${offset}`;
      }
    }
    return undefined;
  } finally {
    fs.closeSync(fd);
  }
}

const PIECE_BYTES = 1024 * 1024;

function* pieces(fd: number, offset: number, length: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(length, PIECE_BYTES));
  for (let done = 0; done < length; ) {
    const count = fs.readSync(fd, buffer, 0, Math.min(buffer.length, length - done), offset + done);
    if (count === 0) return;
    yield buffer.subarray(0, count);
    done += count;
  }
}

function hashOf(fd: number, offset: number, length: number): string {
  const hash = createHash("sha256");
  for (const piece of pieces(fd, offset, length)) hash.update(piece);
  return hash.digest("hex");
}

function isZero(fd: number, offset: number, length: number): boolean {
  for (const piece of pieces(fd, offset, length)) {
    if (!piece.equals(Buffer.alloc(piece.length))) return false;
  }
  return true;
}
