import { MAX_BLOCK_RAW_BYTES } from "./block.ts";
import type { ChunkTable } from "./chunk-table.ts";
import type { Compression } from "./compression.ts";
import { PackAssembler, type PackAssemblerOptions } from "./pack-assembler.ts";
import type { SharedBuffer } from "./shared-buffers.ts";
import { HASH_BYTES } from "./workers/hashing.ts";
import type { WorkerPool } from "./workers/pool.ts";
import type { BufferRange, ChunkList, CompressResult } from "./workers/tasks.ts";

/** A block is closed once it holds this much. */
export const BLOCK_RAW_BYTES = 1024 * 1024;
/** From here on a block ends with its buffer: what lies together in shared memory is compressed where it lies. */
const BLOCK_IN_ONE_BUFFER_BYTES = 768 * 1024;
/** Blocks being compressed or waiting for their place. */
const BLOCKS_AHEAD = 8;
/**
 * An open block that keeps this much memory waiting is closed, however little of it is new: it never keeps more than this and one
 * buffer. Who reads has another two, and so never waits for a block that waits for it.
 */
const HELD_BYTES_PER_BLOCK = 5 * 1024 * 1024;
/**
 * How many buffers who reads must be able to have, of 2.25 MiB or more each. They grow with the position in a file: what a block
 * keeps may be of several sizes, of which the last is the largest.
 */
export const READERS_BUFFERS = 5;

interface OpenBlock {
  readonly ranges: BufferRange[];
  readonly holds: SharedBuffer[];
  readonly records: number[];
  readonly lengths: number[];
  readonly hashes: Uint8Array[];
  rawLength: number;
}

export interface ArtifactWriterOptions extends PackAssemblerOptions {
  /** Number of this artifact in the root's table of objects. */
  readonly object: number;
  /** Chunks that need not be stored again; new ones are added. */
  readonly table: ChunkTable;
}

/**
 * Turns chunks, in order, into blocks and packs. Known chunks are only referenced. Blocks are compressed in the workers
 * and placed in order, so what `placed(n)` has resolved for, every block up to n, can be referred to.
 */
export class ArtifactWriter {
  readonly #pool: WorkerPool;
  readonly #compression: Compression;
  readonly #object: number;
  readonly #table: ChunkTable;
  readonly #assembler: PackAssembler;
  readonly #placedWaiters: {
    readonly block: number;
    readonly resolve: () => void;
    readonly reject: (error: unknown) => void;
  }[] = [];
  #open: OpenBlock | undefined;
  #closedBlocks = 0;
  #placedBlocks = 0;
  #tail: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;
  #newRawBytes = 0;

  constructor(options: ArtifactWriterOptions) {
    this.#pool = options.pool;
    this.#compression = options.compression;
    this.#object = options.object;
    this.#table = options.table;
    this.#assembler = new PackAssembler(options);
  }

  /** Raw bytes of chunks that were not known. */
  get newRawBytes(): number {
    return this.#newRawBytes;
  }

  /** Everything added so far is placed once `placed(currentBlock)` resolves and the open block was closed. */
  get currentBlock(): number {
    return this.#closedBlocks + (this.#open === undefined ? 0 : 1);
  }

  /**
   * Adds consecutive chunks that begin at `start` of the buffer, which is held until they are compressed, and gives
   * their record numbers in the table.
   */
  add(buffer: SharedBuffer, start: number, chunks: ChunkList, first = 0, count = chunks.lengths.length): number[] {
    const records: number[] = [];
    let at = start;
    for (let i = first; i < first + count; i++) {
      const length = chunks.lengths[i] as number;
      let record = this.#table.find(chunks.hashes, i * HASH_BYTES);
      if (record < 0) {
        record = this.#table.add(chunks.hashes, i * HASH_BYTES, length);
        this.#append(buffer, at, length, record, chunks.hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
      }
      records.push(record);
      at += length;
    }
    return records;
  }

  /** Ends the open block early, so that what it holds gets its place and its memory is given back. */
  closeBlock(): void {
    const block = this.#open;
    if (block === undefined) return;
    this.#open = undefined;
    this.#closedBlocks++;
    const compressed = this.#pool.run({ kind: "compress", ranges: block.ranges, compression: this.#compression });
    compressed.catch(() => undefined);
    const before = this.#tail;
    this.#tail = (async () => {
      let result: CompressResult;
      try {
        result = await compressed;
      } finally {
        for (const held of block.holds) held.release();
      }
      await before;
      await this.#place(result, block);
    })();
    this.#tail.catch((error) => this.#fail(error));
  }

  /** Resolves once so many blocks have their place; rejects if the writing failed. */
  placed(block: number): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (block <= this.#placedBlocks) return Promise.resolve();
    return new Promise((resolve, reject) => this.#placedWaiters.push({ block, resolve, reject }));
  }

  /** Resolves when not too many blocks are under way. */
  async drain(): Promise<void> {
    await this.placed(this.#closedBlocks - BLOCKS_AHEAD);
  }

  /** Ends the artifact: all packs are stored. Gives their sizes. */
  async finish(): Promise<readonly number[]> {
    this.closeBlock();
    await this.#tail;
    return this.#assembler.finish();
  }

  #append(buffer: SharedBuffer, offset: number, length: number, record: number, hash: Uint8Array): void {
    if (this.#open !== undefined && !hasRoom(this.#open, buffer, length)) this.closeBlock();
    this.#open ??= { ranges: [], holds: [], records: [], lengths: [], hashes: [], rawLength: 0 };
    const block = this.#open;
    const last = block.ranges.at(-1);
    if (last !== undefined && last.buffer === buffer.memory && last.offset + last.length === offset) {
      block.ranges[block.ranges.length - 1] = { ...last, length: last.length + length };
    } else {
      block.ranges.push({ buffer: buffer.memory, offset, length });
      if (block.holds.at(-1) !== buffer) {
        buffer.hold();
        block.holds.push(buffer);
      }
    }
    block.records.push(record);
    block.lengths.push(length);
    block.hashes.push(hash);
    block.rawLength += length;
    this.#newRawBytes += length;
    if (block.rawLength >= BLOCK_RAW_BYTES) this.closeBlock();
  }

  async #place(result: CompressResult, block: OpenBlock): Promise<void> {
    const placed = await this.#assembler.place(result, {
      lengths: Uint32Array.from(block.lengths),
      hashes: Buffer.concat(block.hashes),
    });
    let offsetInBlock = 0;
    for (const [i, record] of block.records.entries()) {
      this.#table.place(record, {
        object: this.#object,
        pack: placed.pack,
        blockOffset: placed.offset,
        blockStored: placed.stored,
        offsetInBlock,
      });
      offsetInBlock += block.lengths[i] as number;
    }
    this.#placedBlocks++;
    this.#wake();
  }

  #wake(): void {
    for (let i = 0; i < this.#placedWaiters.length; ) {
      const waiter = this.#placedWaiters[i];
      if (waiter !== undefined && waiter.block <= this.#placedBlocks) {
        this.#placedWaiters.splice(i, 1);
        waiter.resolve();
      } else i++;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const waiter of this.#placedWaiters.splice(0)) waiter.reject(this.#failure.error);
  }
}

function hasRoom(block: OpenBlock, buffer: SharedBuffer, length: number): boolean {
  // Chunks far behind in a large file are up to 16 MiB: such a one has its block to itself.
  if (block.rawLength + length > MAX_BLOCK_RAW_BYTES) return false;
  if (block.holds.at(-1) === buffer) return true;
  if (block.rawLength >= BLOCK_IN_ONE_BUFFER_BYTES) return false;
  return block.holds.reduce((sum, { memory }) => sum + memory.byteLength, 0) < HELD_BYTES_PER_BLOCK;
}
