import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { CompressionAlgorithm } from "../domain/backup.ts";
import { exactly, giveBack } from "../platform/own-memory.ts";

export interface Compression {
  readonly algorithm: CompressionAlgorithm;
  readonly level: number;
}

/** The codes in pack headers. */
export const COMPRESSION_CODES: Readonly<Record<CompressionAlgorithm, number>> = { none: 0, gzip: 1, zstd: 2 };

export function compressionOf(code: number): CompressionAlgorithm | undefined {
  return (["none", "gzip", "zstd"] as const)[code];
}

/** One gzip member or zstd frame, in memory of its own, or `undefined` where the result would not be smaller. */
export function compress(raw: Uint8Array, { algorithm, level }: Compression): Uint8Array<ArrayBuffer> | undefined {
  if (algorithm === "none" || raw.length === 0) return undefined;
  const packed =
    algorithm === "gzip"
      ? gzipSync(raw, { level, chunkSize: pieceFor(raw.length + 1024) })
      : zstdCompressSync(raw, { chunkSize: pieceFor(zstdBound(raw.length)), params: zstdParameters(level) });
  if (packed.length < raw.length) return exactly(packed);
  giveBack(packed);
  return undefined;
}

/** What zstd may need at most: with less room it compresses into memory of its own first, and copies. */
function zstdBound(rawLength: number): number {
  return rawLength + (rawLength >> 8) + 128;
}

/** Levels 2 and 3 with tables that stay in a core's cache: on blocks of 1 MiB an eighth and a quarter faster, and about as dense. */
function zstdParameters(level: number): Record<number, number> {
  const { ZSTD_c_compressionLevel, ZSTD_c_hashLog, ZSTD_c_chainLog } = constants;
  const small = level === 2 || level === 3;
  return { [ZSTD_c_compressionLevel]: level, ...(small && { [ZSTD_c_hashLog]: 15, [ZSTD_c_chainLog]: 15 }) };
}

/** zlib asks for memory in pieces and joins them; one that holds everything is a third faster, and can be given back at once. */
function pieceFor(outputBytes: number): number {
  return Math.max(64, outputBytes);
}

/** `rawLength` bytes in memory of their own, or an error: never much more memory than that, whatever the input claims. */
export function decompress(packed: Uint8Array, algorithm: CompressionAlgorithm, rawLength: number): Uint8Array {
  // One more: a piece that is full is followed by another one.
  const options = { chunkSize: pieceFor(rawLength + 1), maxOutputLength: Math.max(1, rawLength) };
  const raw = algorithm === "gzip" ? gunzipSync(packed, options) : zstdDecompressSync(packed, options);
  if (raw.length !== rawLength)
    throw new RangeError(`block decompresses to ${raw.length} bytes instead of ${rawLength}`);
  return raw;
}
