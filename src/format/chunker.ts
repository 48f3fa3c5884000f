import { createHash } from "node:crypto";
import { GearScanner } from "./gear-scanner.ts";

/**
 * Content-defined chunking: FastCDC (Xia et al., USENIX ATC 2016) with a 32-bit gear hash and normalised chunk sizes.
 * The gear table is part of the format: entry i is the first four bytes, big endian, of SHA-256("backupctl/1/gear" ‖ byte i).
 */
export const GEAR: Int32Array = gearTable();

/** Made when it is first asked: a thread of its own has its own. */
let scanner: GearScanner | undefined;

export interface ChunkSizes {
  readonly minimum: number;
  readonly average: number;
  readonly maximum: number;
}

const KIB = 1024;
const DATA_AVERAGE = 64 * KIB;
const LARGEST_AVERAGE = 4096 * KIB;
/** Below this position chunks have the smallest average; it doubles whenever the position has doubled. */
const FIRST_CLASS_END = DATA_AVERAGE * 2 ** 17;

export const INDEX_CHUNKS: ChunkSizes = sizesOf(8 * KIB);

/**
 * Chunk sizes at a byte position of an artifact or file. They depend on the position alone, so that the same bytes at about
 * the same place are cut alike in every backup, whatever the artifact's total size turned out to be.
 */
export function dataChunksAt(position: number): ChunkSizes {
  let average = DATA_AVERAGE;
  for (let end = FIRST_CLASS_END; position >= end && average < LARGEST_AVERAGE; end *= 2) average *= 2;
  return sizesOf(average);
}

/**
 * Length of the next chunk of `bytes[start..end)`. If `final` is false and no boundary can be decided within these bytes,
 * the result is 0: more bytes are needed. With `final`, what is left is the last chunk.
 */
export function nextChunkLength(
  bytes: Uint8Array,
  start: number,
  end: number,
  sizes: ChunkSizes,
  final: boolean,
): number {
  const available = end - start;
  if (available <= sizes.minimum) return final ? available : 0;
  const bits = Math.log2(sizes.average);
  const limit = Math.min(available, sizes.maximum);
  const normal = Math.min(limit, sizes.average);
  // Harder to cut before the average, easier after it: sizes gather around the average.
  const strict = -1 << (32 - (bits + 1));
  const loose = -1 << (32 - (bits - 1));
  scanner ??= new GearScanner(GEAR);
  scanner.reset();
  const seen = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cut =
    scanner.find(seen, start + sizes.minimum, start + normal, strict) ??
    scanner.find(seen, start + Math.max(sizes.minimum, normal), start + limit, loose);
  if (cut !== undefined) return cut - start;
  return limit === sizes.maximum || final ? limit : 0;
}

function sizesOf(average: number): ChunkSizes {
  return { minimum: average / 4, average, maximum: average * 4 };
}

function gearTable(): Int32Array {
  const table = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    table[byte] = createHash("sha256").update("backupctl/1/gear").update(Uint8Array.of(byte)).digest().readInt32BE(0);
  }
  return table;
}
