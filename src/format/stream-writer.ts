import { giveBack, isWhole } from "../platform/own-memory.ts";
import { type ArtifactWriter, READERS_BUFFERS } from "./artifact-writer.ts";
import type { ChunkTable } from "./chunk-table.ts";
import { dataChunksAt, INDEX_CHUNKS } from "./chunker.ts";
import { type SharedBuffer, SharedBuffers } from "./shared-buffers.ts";
import type { WorkerPool } from "./workers/pool.ts";
import type { ScanResult } from "./workers/tasks.ts";

export const BODY_BYTES = 2 * 1024 * 1024;
/** One more is being compressed meanwhile. */
const BUFFER_BUDGET_BYTES = (READERS_BUFFERS + 1) * (BODY_BYTES + 256 * 1024);

export interface StreamWriterOptions {
  readonly pool: WorkerPool;
  readonly writer: ArtifactWriter;
  readonly table: ChunkTable;
  readonly chunks: "data" | "index";
  /** Called with the records of the table that hold the next bytes of the stream. */
  readonly onChunks: (records: readonly number[]) => Promise<void> | void;
  readonly onBytes?: (count: number) => void;
}

interface Part {
  readonly buffer: SharedBuffer;
  readonly start: number;
  readonly end: number;
  readonly position: number;
  readonly scanned: Promise<ScanResult>;
}

/**
 * Sends a stream of bytes through chunker and writer, and closes it however that ends. Gives the number of bytes. A piece that has its
 * memory to itself is handed over: it is empty afterwards.
 */
export async function writeStream(bytes: AsyncIterable<Uint8Array>, options: StreamWriterOptions): Promise<number> {
  const source = new ByteSource(bytes);
  try {
    return await writeAll(source, options);
  } finally {
    await source.close();
  }
}

async function writeAll(source: ByteSource, options: StreamWriterOptions): Promise<number> {
  const buffers = new SharedBuffers(BUFFER_BUDGET_BYTES, READERS_BUFFERS);
  let before: Part | undefined;
  let total = 0;
  for (;;) {
    const room = roomAt(total, options.chunks);
    const buffer = await buffers.acquire(room.carry + room.body);
    const filled = await source.fill(buffer, room.carry, room.body);
    options.onBytes?.(filled);
    const final = filled < room.body;
    const rest = before === undefined ? { bytes: 0, position: 0 } : await carryOver(before, buffer, room.carry);
    const start = room.carry - rest.bytes;
    const end = room.carry + filled;
    const scanned = options.pool.run({
      kind: "scan",
      buffer: buffer.memory,
      start,
      end,
      position: rest.position,
      chunks: options.chunks,
      final,
    });
    scanned.catch(() => undefined);
    if (before !== undefined) await take(before, options);
    before = { buffer, start, end, position: rest.position, scanned };
    total += filled;
    if (final) break;
  }
  await take(before, options);
  return total;
}

/** Room before the body for what the part before leaves undecided: less than one chunk. */
function roomAt(position: number, chunks: "data" | "index"): { readonly carry: number; readonly body: number } {
  const { maximum, average } = chunks === "index" ? INDEX_CHUNKS : dataChunksAt(position);
  return { carry: maximum, body: Math.max(BODY_BYTES, average) };
}

async function carryOver(
  before: Part,
  into: SharedBuffer,
  bodyOffset: number,
): Promise<{ bytes: number; position: number }> {
  const { consumed } = await before.scanned;
  const rest = new Uint8Array(before.buffer.memory, before.start + consumed, before.end - before.start - consumed);
  into.write(rest, bodyOffset - rest.length);
  return { bytes: rest.length, position: before.position + consumed };
}

async function take(part: Part, { writer, onChunks }: StreamWriterOptions): Promise<void> {
  const result = await part.scanned;
  const records = writer.add(part.buffer, part.start, result);
  part.buffer.release();
  await onChunks(records);
  await writer.drain();
}

/** Fills buffers to the brim from pieces of any size. */
class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();
  #used = 0;
  #ended = false;

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#iterator = bytes[Symbol.asyncIterator]();
  }

  /** Fewer bytes than asked for only at the end. */
  async fill(buffer: SharedBuffer, offset: number, length: number): Promise<number> {
    let at = 0;
    while (at < length && !this.#ended) {
      if (this.#used === this.#piece.length) {
        await this.#next();
        continue;
      }
      const part = this.#piece.subarray(this.#used, this.#used + length - at);
      buffer.write(part, offset + at);
      at += part.length;
      this.#used += part.length;
    }
    return at;
  }

  /** A pipe's pieces of 64 KiB, left to the collector, bring about one collection after another. */
  async #next(): Promise<void> {
    if (isWhole(this.#piece)) giveBack(this.#piece);
    const next = await this.#iterator.next();
    this.#ended = next.done === true;
    this.#piece = next.done === true ? new Uint8Array() : next.value;
    this.#used = 0;
  }

  /** Who makes the bytes may hold a process or a file for them. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}
