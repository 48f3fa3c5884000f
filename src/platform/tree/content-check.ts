import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { errnoOf } from "../files.ts";
import { openForReading } from "../walk.ts";

/** Ranges of a file (offset and length) and what they must hash to together; without a hash they must be zeros. */
export interface ExpectedRange {
  readonly spans: readonly (readonly [number, number])[];
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
    for (const { spans, sha256 } of ranges) {
      const isAsExpected = sha256 === undefined ? areZeros(fd, spans) : hashOf(fd, spans) === sha256;
      if (!isAsExpected) return `differs at or after byte ${spans[0]?.[0] ?? 0}`;
    }
    return undefined;
  } finally {
    fs.closeSync(fd);
  }
}

const PIECE_BYTES = 1024 * 1024;

function* pieces(fd: number, spans: ExpectedRange["spans"]): Generator<Buffer> {
  const longest = Math.max(0, ...spans.map(([, length]) => length));
  const buffer = Buffer.allocUnsafe(Math.min(longest, PIECE_BYTES));
  for (const [offset, length] of spans) {
    for (let done = 0; done < length; ) {
      const count = fs.readSync(fd, buffer, 0, Math.min(buffer.length, length - done), offset + done);
      if (count === 0) return;
      yield buffer.subarray(0, count);
      done += count;
    }
  }
}

function hashOf(fd: number, spans: ExpectedRange["spans"]): string {
  const hash = createHash("sha256");
  for (const piece of pieces(fd, spans)) hash.update(piece);
  return hash.digest("hex");
}

function areZeros(fd: number, spans: ExpectedRange["spans"]): boolean {
  for (const piece of pieces(fd, spans)) {
    if (!piece.equals(Buffer.alloc(piece.length))) return false;
  }
  return true;
}
