import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { CompressionAlgorithm } from "../domain/backup.ts";

export interface Compression {
  readonly algorithm: CompressionAlgorithm;
  readonly level: number;
}

/** The codes in pack headers. */
export const COMPRESSION_CODES: Readonly<Record<CompressionAlgorithm, number>> = { none: 0, gzip: 1, zstd: 2 };

export function compressionOf(code: number): CompressionAlgorithm | undefined {
  return (["none", "gzip", "zstd"] as const)[code];
}

/** One gzip member or zstd frame, or `undefined` where the result would not be smaller. */
export function compress(raw: Uint8Array, { algorithm, level }: Compression): Uint8Array | undefined {
  if (algorithm === "none" || raw.length === 0) return undefined;
  const chunkSize = chunkSizeFor(raw.length + 1024);
  const packed =
    algorithm === "gzip"
      ? gzipSync(raw, { level, chunkSize })
      : zstdCompressSync(raw, { chunkSize, params: { [constants.ZSTD_c_compressionLevel]: level } });
  return packed.length < raw.length ? packed : undefined;
}

/**
 * With the default of 16 KiB zlib loses a third of its speed. One buffer for all would stay with its context, which only a full
 * collection of garbage frees: pieces of this size are given back sooner.
 */
function chunkSizeFor(outputBytes: number): number {
  return Math.min(128 * 1024, Math.max(64, outputBytes));
}

/** Exactly `rawLength` bytes, or an error: never more memory than that, whatever the input claims. */
export function decompress(packed: Uint8Array, algorithm: CompressionAlgorithm, rawLength: number): Uint8Array {
  const options = { chunkSize: chunkSizeFor(rawLength), maxOutputLength: Math.max(1, rawLength) };
  const raw = algorithm === "gzip" ? gunzipSync(packed, options) : zstdDecompressSync(packed, options);
  if (raw.length !== rawLength)
    throw new RangeError(`block decompresses to ${raw.length} bytes instead of ${rawLength}`);
  return raw;
}
