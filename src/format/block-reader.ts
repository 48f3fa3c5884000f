import type { BackupId, CompressionAlgorithm } from "../domain/backup.ts";
import { packName } from "../domain/object-names.ts";
import { giveBack } from "../platform/own-memory.ts";
import { copyToShared } from "../platform/shared-memory.ts";
import type { Shortfalls } from "../platform/tree/entry-metadata.ts";
import type { SharedTree } from "../platform/tree/tree-writer.ts";
import { BLOCK_HEADER_BYTES, DamageError, encodePackHeader, type PackSeal } from "./block.ts";
import { artifactKey, idBytes } from "./data-key.ts";
import { fromOtherCopy, fromSoundCopy, type PackSource, StoredDamage } from "./pack-source.ts";
import type { ChunkRef, ObjectEntry } from "./root.ts";
import { type SharedBuffer, SharedBuffers } from "./shared-buffers.ts";
import { HASH_BYTES } from "./workers/hashing.ts";
import type { WorkerPool } from "./workers/pool.ts";
import type { BlockContents, StoredBlock } from "./workers/tasks.ts";

/** Two ranges of a pack this close are fetched as one. */
const GAP_BYTES = 128 * 1024;
const MAX_RANGE_BYTES = 4 * 1024 * 1024;
/** Ranges that are fetched, or being opened, at once. */
const RANGES_AT_ONCE = 8;

/** Chunks wanted of one block. */
export interface WantedBlock {
  readonly object: ObjectEntry;
  readonly pack: number;
  readonly offset: number;
  /** Behind the header, tag included. */
  readonly stored: number;
  readonly chunks: ChunkRef[];
}

interface BlockToWrite extends Pick<BlockContents, "files" | "parts"> {
  readonly wanted: WantedBlock;
}

interface FetchedRange {
  readonly copy: PackSource;
  /** Where it begins in its pack. */
  readonly start: number;
  readonly bytes: Buffer;
  /** What the bytes lie in: reused, and shared with the workers. */
  readonly buffer: SharedBuffer;
}

/** Fetches and opens blocks; every wanted chunk of them is checked against its SHA-256. */
export class BlockReader {
  readonly #source: PackSource;
  readonly #pool: WorkerPool;
  readonly #buffers = new SharedBuffers(RANGES_AT_ONCE * MAX_RANGE_BYTES, 2);
  #last: { readonly object: ObjectEntry; readonly pack: number; readonly seal: PackSeal } | undefined;

  constructor(source: PackSource, pool: WorkerPool) {
    this.#source = source;
    this.#pool = pool;
  }

  /** Raw bytes of each block, in the order asked for. Neighbours in a pack are fetched in one range. */
  read(blocks: readonly WantedBlock[]): readonly Promise<Uint8Array>[] {
    return this.#each(blocks, async (stored) => (await this.#pool.run({ kind: "open-block", ...stored })).raw);
  }

  /** Has what files have of each block written to them, by the thread that opens it. */
  write(blocks: readonly BlockToWrite[], tree: SharedTree): readonly Promise<Shortfalls>[] {
    const wanted = blocks.map((block) => block.wanted);
    return this.#each(wanted, (stored, index) => {
      const { files, parts } = blocks[index] ?? { files: [], parts: [] };
      return this.#pool.run({ kind: "write-block", ...stored, contents: { tree, files, parts } });
    });
  }

  #each<T>(
    blocks: readonly WantedBlock[],
    use: (stored: StoredBlock, index: number) => Promise<T>,
  ): readonly Promise<T>[] {
    const results: Promise<T>[] = new Array(blocks.length);
    for (const group of neighbours(blocks)) {
      const fetched = this.#fetch(group.map(({ block }) => block));
      const opening: Promise<T>[] = [];
      for (const { block, index } of group) {
        const opened = fetched.then((range) => this.#open(block, range, (stored) => use(stored, index)));
        opening.push(opened);
        results[index] = opened;
      }
      const release = (range: FetchedRange): void => range.buffer.release();
      // Whoever asked meets the errors; a range that was not fetched has given its memory back.
      void Promise.allSettled(opening).then(() => fetched.then(release, () => undefined));
    }
    return results;
  }

  #fetch(blocks: readonly WantedBlock[]): Promise<FetchedRange> {
    return fromSoundCopy(this.#source, (copy) => this.#fetchFrom(copy, blocks));
  }

  async #fetchFrom(copy: PackSource, blocks: readonly WantedBlock[]): Promise<FetchedRange> {
    const [first] = blocks;
    const last = blocks.at(-1);
    if (first === undefined || last === undefined) throw new RangeError("no block to fetch");
    const start = first.offset;
    const length = last.offset + BLOCK_HEADER_BYTES + last.stored - start;
    const buffer = await this.#buffers.acquire(Math.max(MAX_RANGE_BYTES, length));
    try {
      return { copy, start, bytes: await read(copy, first, length, buffer.memory), buffer };
    } catch (error) {
      buffer.release();
      throw error;
    }
  }

  /** Of other copies only the blocks are read that are damaged in this one. */
  async #open<T>(block: WantedBlock, range: FetchedRange, use: (stored: StoredBlock) => Promise<T>): Promise<T> {
    const from = block.offset - range.start;
    const length = BLOCK_HEADER_BYTES + block.stored;
    const seal = await this.#seal(block);
    try {
      return await open(block, range.bytes.subarray(from, from + length), seal, use);
    } catch (error) {
      if (!(error instanceof StoredDamage)) throw error;
      return fromOtherCopy(range.copy, error, async (copy) => {
        // Not of the budget: the range that the block was damaged in is held meanwhile.
        const bytes = await read(copy, block, length, new SharedArrayBuffer(length));
        return open(block, bytes, seal, use);
      });
    }
  }

  /** Blocks of a pack come one after the other; deriving its key for each takes longer than opening a small one. */
  async #seal({ object, pack }: WantedBlock): Promise<PackSeal> {
    if (this.#last?.object !== object || this.#last.pack !== pack) {
      const dataKey = object.cipher === 1 ? await this.#source.dataKey(object.origin) : undefined;
      this.#last = { object, pack, seal: sealOf(object, pack, dataKey) };
    }
    return this.#last.seal;
  }
}

/** What a copy has from this block on, in memory that the workers share. */
async function read(
  copy: PackSource,
  { object, pack, offset }: WantedBlock,
  length: number,
  memory: SharedArrayBuffer,
): Promise<Buffer> {
  const name = packName(object.name, pack);
  const bytes = await copy.get(object.origin, name, offset, length);
  if (bytes === undefined) throw new StoredDamage(object.origin, name, `${name} is missing`);
  const shared = Buffer.from(memory, 0, bytes.length);
  copyToShared(bytes, shared);
  giveBack(bytes);
  return shared;
}

/** @throws StoredDamage before anything is made of what is not sound */
async function open<T>(
  { object, pack, offset, stored, chunks }: WantedBlock,
  bytes: Buffer,
  seal: PackSeal,
  use: (stored: StoredBlock) => Promise<T>,
): Promise<T> {
  const name = packName(object.name, pack);
  if (bytes.length < BLOCK_HEADER_BYTES + stored) {
    throw new StoredDamage(object.origin, name, `${name} is cut: the block at ${offset} is not whole`);
  }
  const spans = new Uint32Array(chunks.length * 2);
  const hashes = new Uint8Array(chunks.length * HASH_BYTES);
  for (const [i, chunk] of chunks.entries()) {
    spans[i * 2] = chunk.offsetInBlock;
    spans[i * 2 + 1] = chunk.length;
    hashes.set(Buffer.from(chunk.sha256, "hex"), i * HASH_BYTES);
  }
  try {
    return await use({ block: bytes, offset, seal, compression: object.compression, spans, hashes });
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    throw new StoredDamage(object.origin, name, `${name}, block at ${offset}: ${error.message}`, error);
  }
}

/** Rebuilt from the authenticated root, never from the pack's own header. */
export function sealOf(
  object: {
    readonly origin: BackupId;
    readonly artifact_id: string;
    readonly compression: CompressionAlgorithm;
    readonly cipher: 0 | 1;
  },
  packNumber: number,
  dataKey: Buffer | undefined,
): PackSeal {
  const artifactId = Buffer.from(object.artifact_id, "hex");
  const encrypted = object.cipher === 1;
  if (encrypted && dataKey === undefined) throw new DamageError("the root says encrypted, its backup says not");
  const header = encodePackHeader({ compression: object.compression, encrypted, packNumber, artifactId });
  return {
    header: Uint8Array.from(header),
    backupId: Uint8Array.from(idBytes(object.origin)),
    packNumber,
    key:
      encrypted && dataKey !== undefined ? Uint8Array.from(artifactKey(dataKey, artifactId, object.origin)) : undefined,
  };
}

interface Indexed {
  readonly block: WantedBlock;
  readonly index: number;
}

function neighbours(blocks: readonly WantedBlock[]): readonly (readonly Indexed[])[] {
  const sorted = blocks.map((block, index) => ({ block, index })).sort((a, b) => compareBlocks(a.block, b.block));
  const groups: Indexed[][] = [];
  for (const next of sorted) {
    const group = groups.at(-1);
    const first = group?.[0]?.block;
    const last = group?.at(-1)?.block;
    if (group !== undefined && first !== undefined && last !== undefined && continues(first, last, next.block))
      group.push(next);
    else groups.push([next]);
  }
  return groups;
}

function compareBlocks(a: WantedBlock, b: WantedBlock): number {
  return a.object.n - b.object.n || a.pack - b.pack || a.offset - b.offset;
}

function continues(first: WantedBlock, last: WantedBlock, next: WantedBlock): boolean {
  if (next.object.n !== last.object.n || next.pack !== last.pack) return false;
  const end = last.offset + BLOCK_HEADER_BYTES + last.stored;
  return next.offset - end <= GAP_BYTES && next.offset + next.stored - first.offset <= MAX_RANGE_BYTES;
}
