import { closeSync, fstatSync } from "node:fs";
import type { FoundAttributes, TreeNode } from "../domain/artifact.ts";
import { errnoOf } from "../platform/files.ts";
import { openForReading } from "../platform/walk.ts";
import { type ArtifactWriter, READERS_BUFFERS } from "./artifact-writer.ts";
import { dataChunksAt } from "./chunker.ts";
import { type SharedBuffer, SharedBuffers } from "./shared-buffers.ts";
import type { WorkerPool } from "./workers/pool.ts";
import type { FileState, ReadPartResult } from "./workers/tasks.ts";

const PART_BYTES = 2 * 1024 * 1024;
const BUFFER_BUDGET_BYTES = READERS_BUFFERS * (PART_BYTES + 256 * 1024);
/** Behind so many holes the rest of a file is stored as it is read: each takes room in the index, and in memory. */
const MAX_HOLES = 1000;

export interface FileContent {
  readonly errno?: string;
  readonly records: readonly number[];
  readonly holes: readonly (readonly [number, number])[];
  /** After reading. */
  readonly state: FileState;
  readonly changed: boolean;
  /** What the reader found of them on the open file, where it looked. */
  readonly attributes?: FoundAttributes;
}

export interface LargeFileOptions {
  readonly pool: WorkerPool;
  readonly writer: ArtifactWriter;
  readonly onBytes: (count: number) => void;
}

/** Reads files that do not fit a batch, part by part: workers read, cut and hash, one part ahead of the writer. */
export class LargeFileReader {
  readonly #options: LargeFileOptions;
  readonly #buffers = new SharedBuffers(BUFFER_BUDGET_BYTES, READERS_BUFFERS);

  constructor(options: LargeFileOptions) {
    this.#options = options;
  }

  /** The file's chunks, added to the writer. A file that changes meanwhile is read once more, then said to have changed. */
  async read(node: TreeNode): Promise<FileContent> {
    const failed = { records: [], holes: [], state: nodeState(node), changed: false };
    let descriptor: number;
    try {
      descriptor = openForReading(node.name);
    } catch (error) {
      return { ...failed, errno: errnoOf(error) ?? "EIO" };
    }
    try {
      const sparse = node.blocks * 512 < node.size;
      for (let attempt = 1; ; attempt++) {
        const before = stateOf(descriptor);
        const content = await this.#readOnce(descriptor, before, sparse);
        if (content.errno !== undefined) return { ...failed, errno: content.errno };
        if (!content.changed || attempt >= 2) return content;
      }
    } finally {
      closeSync(descriptor);
    }
  }

  async #readOnce(descriptor: number, before: FileState, sparse: boolean): Promise<FileContent> {
    const saysItsSize = before.size > 0;
    const end = saysItsSize ? before.size : Number.POSITIVE_INFINITY;
    const parts = new PartSequence(descriptor, end, sparse, this.#options, this.#buffers);
    try {
      while (await parts.advance());
    } finally {
      await parts.dispose();
    }
    // It may keep more of a file's far end than what is read next, which begins with small buffers, could have beside it.
    if (dataChunksAt(parts.bytesRead).average > dataChunksAt(0).average) this.#options.writer.closeBlock();
    const after = stateOf(descriptor);
    const changed = !sameState(before, after) || (saysItsSize && parts.bytesRead !== after.size);
    const state = { ...after, size: parts.bytesRead };
    const { errno, records, holes } = parts;
    return { ...(errno === undefined ? {} : { errno }), records, holes, state, changed };
  }
}

interface Part {
  readonly buffer: SharedBuffer;
  readonly start: number;
  readonly position: number;
  readonly read: Promise<ReadPartResult>;
}

class PartSequence {
  readonly records: number[] = [];
  readonly holes: [number, number][] = [];
  bytesRead = 0;
  errno: string | undefined;
  readonly #descriptor: number;
  readonly #size: number;
  readonly #sparse: boolean;
  readonly #options: LargeFileOptions;
  readonly #buffers: SharedBuffers;
  #offset = 0;
  #part: Part | undefined;

  constructor(descriptor: number, size: number, sparse: boolean, options: LargeFileOptions, buffers: SharedBuffers) {
    this.#descriptor = descriptor;
    this.#size = size;
    this.#sparse = sparse;
    this.#options = options;
    this.#buffers = buffers;
  }

  /** Starts the next part, then takes the one before. False when there is nothing left. */
  async advance(): Promise<boolean> {
    const before = this.#part;
    const result = await before?.read;
    if (result?.errno !== undefined) this.errno = result.errno;
    const ended =
      result !== undefined && (result.errno !== undefined || result.bytesRead === 0 || this.#offset >= this.#size);
    this.#part = ended ? undefined : await this.#start(before, result);
    if (before !== undefined && result !== undefined && this.errno === undefined) await this.#take(before, result);
    before?.buffer.release();
    return this.#part !== undefined;
  }

  async dispose(): Promise<void> {
    const part = this.#part;
    this.#part = undefined;
    await part?.read.catch(() => undefined);
    part?.buffer.release();
  }

  async #start(before: Part | undefined, result: ReadPartResult | undefined): Promise<Part> {
    const sizes = dataChunksAt(this.#offset);
    const length = Math.max(PART_BYTES, sizes.average);
    const carry = sizes.maximum;
    const buffer = await this.#buffers.acquire(carry + length);
    let rest = 0;
    if (before !== undefined && result !== undefined) {
      const undecided = new Uint8Array(
        before.buffer.memory,
        before.start + result.consumed,
        result.end - before.start - result.consumed,
      );
      rest = undecided.length;
      buffer.write(undecided, carry - rest);
    }
    const position = (before?.position ?? 0) + (result?.consumed ?? 0);
    const toRead = Math.min(length, Math.max(0, this.#size - this.#offset));
    const read = this.#options.pool.run({
      kind: "read-part",
      buffer: buffer.memory,
      descriptor: this.#descriptor,
      start: carry - rest,
      bodyOffset: carry,
      fileOffset: this.#offset,
      length: toRead,
      position,
      sparse: this.#sparse && this.holes.length < MAX_HOLES,
      final: this.#offset + toRead >= this.#size,
    });
    read.catch(() => undefined);
    this.#offset += toRead;
    return { buffer, start: carry - rest, position, read };
  }

  async #take(part: Part, result: ReadPartResult): Promise<void> {
    this.bytesRead += result.bytesRead;
    this.#options.onBytes(result.bytesRead);
    for (const [offset, length] of result.holes) this.#addHole(offset, length);
    for (const record of this.#options.writer.add(part.buffer, part.start, result)) this.records.push(record);
    await this.#options.writer.drain();
  }

  #addHole(offset: number, length: number): void {
    const last = this.holes.at(-1);
    if (last !== undefined && last[0] + last[1] === offset) last[1] += length;
    else this.holes.push([offset, length]);
  }
}

function nodeState(node: TreeNode): FileState {
  return { size: node.size, mtimeNs: node.mtimeNs, ctimeNs: node.ctimeNs, inode: node.inode };
}

function stateOf(descriptor: number): FileState {
  const stats = fstatSync(descriptor, { bigint: true });
  return { size: Number(stats.size), mtimeNs: stats.mtimeNs, ctimeNs: stats.ctimeNs, inode: stats.ino };
}

function sameState(a: FileState, b: FileState): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.inode === b.inode;
}
