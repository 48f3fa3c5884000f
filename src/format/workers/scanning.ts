import { dataChunksAt, INDEX_CHUNKS, nextChunkLength } from "../chunker.ts";
import { HASH_BYTES, sha256 } from "./hashing.ts";
import type { ChunkList, ScanResult, ScanTask } from "./tasks.ts";

export function scan(task: ScanTask): ScanResult {
  const bytes = new Uint8Array(task.buffer);
  const found = new ChunkCollector();
  const consumed = cut(bytes, task, task.chunks, found);
  return { consumed, ...found.list() };
}

export interface CutRange {
  readonly start: number;
  readonly end: number;
  readonly position: number;
  readonly final: boolean;
}

/** Cuts and hashes as much of the range as can be decided; gives the bytes that the chunks cover. */
export function cut(bytes: Uint8Array, range: CutRange, kind: "data" | "index", found: ChunkCollector): number {
  let at = range.start;
  while (at < range.end) {
    const sizes = kind === "index" ? INDEX_CHUNKS : dataChunksAt(range.position + (at - range.start));
    const length = nextChunkLength(bytes, at, range.end, sizes, range.final);
    if (length === 0) break;
    found.add(bytes.subarray(at, at + length));
    at += length;
  }
  return at - range.start;
}

/** Grows two flat arrays: objects for each chunk would cost more than hashing it. */
export class ChunkCollector {
  #lengths = new Uint32Array(64);
  #hashes = new Uint8Array(64 * HASH_BYTES);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(chunk: Uint8Array): void {
    if (this.#count === this.#lengths.length) this.#grow();
    this.#lengths[this.#count] = chunk.length;
    this.#hashes.set(sha256(chunk), this.#count * HASH_BYTES);
    this.#count++;
  }

  list(): ChunkList {
    return { lengths: this.#lengths.slice(0, this.#count), hashes: this.#hashes.slice(0, this.#count * HASH_BYTES) };
  }

  #grow(): void {
    const lengths = new Uint32Array(this.#lengths.length * 2);
    lengths.set(this.#lengths);
    const hashes = new Uint8Array(lengths.length * HASH_BYTES);
    hashes.set(this.#hashes);
    this.#lengths = lengths;
    this.#hashes = hashes;
  }
}
