import { DamageError } from "./block.ts";
import { BlockReader, type WantedBlock } from "./block-reader.ts";
import type { PackSource } from "./pack-source.ts";
import type { ChunkRef, ObjectEntry } from "./root.ts";
import { sha256 } from "./workers/hashing.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** Raw bytes of chunks read ahead; two such groups are in memory at once. */
const GROUP_BYTES = 8 * 1024 * 1024;
/** So that a million tiny files are not one group. */
const GROUP_CHUNKS = 8_192;
/** Chunks may lie scattered over a lineage, and each of them brings its block of about a mebibyte. */
const GROUP_BLOCKS = 16;
/** Blocks kept because a later chunk may lie in them too. */
const KEPT_BLOCKS = 16;

/** A wanted chunk, and whatever the caller wants to know again when its bytes are there. */
export interface Wanted<T> {
  readonly chunk: ChunkRef;
  readonly what: T;
}

export interface ReadChunk<T> extends Wanted<T> {
  readonly bytes: Uint8Array;
}

interface KeptBlock {
  readonly raw: Promise<Uint8Array>;
  /** Chunks that were compared with their SHA-256, by offset in the block. */
  readonly checked: Map<number, ChunkRef>;
}

/** Reads chunks in the order asked for, each checked against its SHA-256, and fetches ahead. */
export class ChunkReader {
  readonly #blocks: BlockReader;
  readonly #objects: readonly ObjectEntry[];
  readonly #kept = new Map<string, KeptBlock>();

  constructor(source: PackSource, pool: WorkerPool, objects: readonly ObjectEntry[]) {
    this.#blocks = new BlockReader(source, pool);
    this.#objects = objects;
  }

  /** @throws StoredDamage where the stored bytes are missing or wrong; DamageError for an object that the root does not list. */
  async *read<T>(wanted: Iterable<Wanted<T>> | AsyncIterable<Wanted<T>>): AsyncGenerator<ReadChunk<T>> {
    let ahead: Group<T> | undefined;
    for await (const group of grouped(wanted)) {
      const next = this.#start(group);
      if (ahead !== undefined) yield* this.#deliver(ahead);
      ahead = next;
    }
    if (ahead !== undefined) yield* this.#deliver(ahead);
  }

  #start<T>(wanted: readonly Wanted<T>[]): Group<T> {
    const blocks = new Map<string, KeptBlock>();
    const missing = new Map<string, WantedBlock>();
    for (const { chunk } of wanted) {
      const key = blockKeyOf(chunk);
      const kept = this.#kept.get(key);
      if (kept !== undefined) blocks.set(key, kept);
      else if (missing.has(key)) missing.get(key)?.chunks.push(chunk);
      else missing.set(key, { ...wantedBlock(this.#objects, chunk), chunks: [chunk] });
    }
    const opened = this.#blocks.read([...missing.values()]);
    for (const [i, [key, block]] of [...missing].entries()) {
      const raw = opened[i];
      if (raw === undefined) throw new Error("a block was not read");
      blocks.set(key, { raw, checked: new Map(block.chunks.map((chunk) => [chunk.offsetInBlock, chunk])) });
    }
    this.#keep(blocks);
    return { wanted, blocks };
  }

  async *#deliver<T>({ wanted, blocks }: Group<T>): AsyncGenerator<ReadChunk<T>> {
    for (const { chunk, what } of wanted) {
      const block = blocks.get(blockKeyOf(chunk));
      if (block === undefined) throw new Error("a block was not asked for");
      const raw = await block.raw;
      const bytes = bytesOf(chunk, raw);
      const checked = block.checked.get(chunk.offsetInBlock);
      if (checked?.sha256 === chunk.sha256 && checked.length === chunk.length) {
        yield { chunk, what, bytes };
      } else if (bytes.length === chunk.length && sha256(bytes).toString("hex") === chunk.sha256) {
        block.checked.set(chunk.offsetInBlock, chunk);
        yield { chunk, what, bytes };
      } else {
        yield { chunk, what, bytes: bytesOf(chunk, await this.#again(chunk)) };
      }
    }
  }

  /** The block held what was wanted of it before, and not this: another copy may hold both. */
  async #again(chunk: ChunkRef): Promise<Uint8Array> {
    const [opened] = this.#blocks.read([{ ...wantedBlock(this.#objects, chunk), chunks: [chunk] }]);
    if (opened === undefined) throw new Error("a block was not read");
    return opened;
  }

  #keep(blocks: ReadonlyMap<string, KeptBlock>): void {
    for (const [key, block] of blocks) {
      this.#kept.delete(key);
      this.#kept.set(key, block);
    }
    for (const key of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_BLOCKS) return;
      this.#kept.delete(key);
    }
  }
}

interface Group<T> {
  readonly wanted: readonly Wanted<T>[];
  readonly blocks: ReadonlyMap<string, KeptBlock>;
}

/** The block that a chunk lies in, with no chunk wanted of it yet. @throws DamageError for an object that the root does not list */
export function wantedBlock(objects: readonly ObjectEntry[], chunk: ChunkRef): WantedBlock {
  const object = objectOf(objects, chunk);
  return { object, pack: chunk.pack, offset: chunk.blockOffset, stored: chunk.blockStored, chunks: [] };
}

function objectOf(objects: readonly ObjectEntry[], chunk: ChunkRef): ObjectEntry {
  const object = objects[chunk.object];
  if (object === undefined) throw new DamageError(`chunk names object ${chunk.object}, which the root does not list`);
  return object;
}

function bytesOf({ offsetInBlock, length }: ChunkRef, raw: Uint8Array): Uint8Array {
  return raw.subarray(offsetInBlock, offsetInBlock + length);
}

export function blockKeyOf(chunk: ChunkRef): string {
  return `${chunk.object}/${chunk.pack}/${chunk.blockOffset}`;
}

async function* grouped<T>(
  wanted: Iterable<Wanted<T>> | AsyncIterable<Wanted<T>>,
): AsyncGenerator<readonly Wanted<T>[]> {
  let group: Wanted<T>[] = [];
  let bytes = 0;
  const blocks = new Set<string>();
  for await (const next of wanted) {
    group.push(next);
    bytes += next.chunk.length;
    blocks.add(blockKeyOf(next.chunk));
    if (bytes < GROUP_BYTES && group.length < GROUP_CHUNKS && blocks.size < GROUP_BLOCKS) continue;
    yield group;
    group = [];
    bytes = 0;
    blocks.clear();
  }
  if (group.length > 0) yield group;
}
