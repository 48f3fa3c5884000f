import { sizeOfAttributes } from "../platform/extended-attributes.ts";
import { type EntryMetadata, noShortfalls, type Shortfalls } from "../platform/tree/entry-metadata.ts";
import type { SharedTree } from "../platform/tree/tree-writer.ts";
import { BlockReader, type WantedBlock } from "./block-reader.ts";
import { blockKeyOf, wantedBlock } from "./chunk-reader.ts";
import type { PackSource } from "./pack-source.ts";
import type { ChunkRef, ObjectEntry } from "./root.ts";
import type { WorkerPool } from "./workers/pool.ts";
import type { FilePart, WholeFile } from "./workers/tasks.ts";

/** Raw bytes that are under way in one group; two groups are at once. */
const GROUP_BYTES = 8 * 1024 * 1024;
/** So that a million tiny files are not one group, nor the open ones too many. */
const GROUP_PARTS = 4_096;
const GROUP_OPEN_FILES = 128;
/** Extended attributes go to the workers with the files: four tasks of two groups wait in a thread whose heap is small. */
const GROUP_ATTRIBUTE_BYTES = 2 * 1024 * 1024;
/** Chunks may lie scattered over a lineage, and each of them brings its block of about a mebibyte. */
const GROUP_BLOCKS = 16;

/** A file whose contents are wanted. */
export interface FileContents {
  readonly name: Buffer;
  readonly size: number;
  readonly metadata: EntryMetadata;
  readonly chunks: readonly ChunkRef[];
  /** Where the next `length` bytes of its chunks go: offset and length. */
  readonly take: (length: number) => readonly (readonly [number, number])[];
  readonly hasHoles: boolean;
  /** Begins the file: for one that is not written whole by one thread. */
  readonly open: () => number;
}

/** Contents of a file that were written; the last ones where `isLast`. */
export interface Written<F> {
  readonly file: F;
  readonly bytes: number;
  readonly isLast: boolean;
}

interface GroupBlock {
  readonly wanted: WantedBlock;
  readonly files: WholeFile[];
  readonly parts: FilePart[];
}

/**
 * Has contents of files written by the threads that open their blocks: no byte comes to this one. What lies in a single block is made there
 * as a whole. Every chunk is compared with its SHA-256 before any of its block is written.
 */
export class ContentWriter {
  readonly #blocks: BlockReader;
  readonly #objects: readonly ObjectEntry[];
  readonly #tree: SharedTree;
  readonly shortfalls = noShortfalls();

  constructor(source: PackSource, pool: WorkerPool, objects: readonly ObjectEntry[], tree: SharedTree) {
    this.#blocks = new BlockReader(source, pool);
    this.#objects = objects;
    this.#tree = tree;
  }

  /**
   * Gives what was written, group by group, in the order of the files. However it ends, nothing is being written any more.
   * @throws StoredDamage where the stored bytes are missing or wrong; what the tree's target throws
   */
  async *write<F extends FileContents>(files: AsyncIterable<F>): AsyncGenerator<readonly Written<F>[]> {
    const underWay = new Set<Promise<unknown>>();
    const start = (group: Group<F>): StartedGroup<F> => {
      const tasks = this.#blocks.write([...group.blocks.values()], this.#tree);
      for (const task of tasks) {
        underWay.add(task);
        task.then(
          () => underWay.delete(task),
          () => underWay.delete(task),
        );
      }
      return { tasks, written: group.written };
    };
    try {
      let ahead: StartedGroup<F> | undefined;
      for await (const group of this.#grouped(files)) {
        const next = start(group);
        if (ahead !== undefined) yield await this.#finish(ahead);
        ahead = next;
      }
      if (ahead !== undefined) yield await this.#finish(ahead);
    } finally {
      await Promise.allSettled(underWay);
    }
  }

  async #finish<F>({ tasks, written }: StartedGroup<F>): Promise<readonly Written<F>[]> {
    for (const { owners, attributes, unlike } of await Promise.all(tasks)) {
      this.shortfalls.owners += owners;
      this.shortfalls.attributes += attributes;
      this.shortfalls.unlike += unlike;
    }
    return written;
  }

  async *#grouped<F extends FileContents>(files: AsyncIterable<F>): AsyncGenerator<Group<F>> {
    let group = new Group<F>(this.#objects);
    for await (const file of files) {
      const [first] = file.chunks;
      if (first === undefined) continue;
      const key = blockKeyOf(first);
      const isWhole = !file.hasHoles && file.chunks.every((chunk) => blockKeyOf(chunk) === key);
      if (isWhole && sizeOfAttributes(file.metadata.attributes) <= GROUP_ATTRIBUTE_BYTES) {
        if (group.isFullFor(key)) {
          yield group;
          group = new Group<F>(this.#objects);
        }
        group.addWhole(file, key, first);
        continue;
      }
      for (const [i, chunk] of file.chunks.entries()) {
        if (group.isFullFor(blockKeyOf(chunk))) {
          yield group;
          group = new Group<F>(this.#objects);
        }
        group.addPart(file, chunk, i === file.chunks.length - 1);
      }
    }
    yield group;
  }
}

interface StartedGroup<F> {
  readonly tasks: readonly Promise<Shortfalls>[];
  readonly written: readonly Written<F>[];
}

/** Files and parts of files that are written together. */
class Group<F extends FileContents> {
  readonly blocks = new Map<string, GroupBlock>();
  readonly written: Written<F>[] = [];
  readonly #objects: readonly ObjectEntry[];
  readonly #open = new Set<F>();
  #bytes = 0;
  #attributeBytes = 0;

  constructor(objects: readonly ObjectEntry[]) {
    this.#objects = objects;
  }

  /** A block is opened once for all that is wanted of it, unless that is a lot. */
  isFullFor(key: string): boolean {
    if (this.written.length >= GROUP_PARTS || this.#open.size >= GROUP_OPEN_FILES) return true;
    if (this.#attributeBytes >= GROUP_ATTRIBUTE_BYTES) return true;
    return !this.blocks.has(key) && (this.#bytes >= GROUP_BYTES || this.blocks.size >= GROUP_BLOCKS);
  }

  addWhole(file: F, key: string, first: ChunkRef): void {
    const { name, size, metadata, chunks } = file;
    const block = this.#block(key, first);
    block.wanted.chunks.push(...chunks);
    block.files.push({ name, size, metadata, spans: joined(chunks) });
    this.#attributeBytes += sizeOfAttributes(metadata.attributes);
    this.#note(file, size, true);
  }

  addPart(file: F, chunk: ChunkRef, isLast: boolean): void {
    const block = this.#block(blockKeyOf(chunk), chunk);
    block.wanted.chunks.push(chunk);
    const descriptor = file.open();
    this.#open.add(file);
    let offsetInBlock = chunk.offsetInBlock;
    for (const [position, length] of file.take(chunk.length)) {
      addJoined(block.parts, { descriptor, offsetInBlock, length, position });
      offsetInBlock += length;
    }
    if (isLast) this.#attributeBytes += sizeOfAttributes(file.metadata.attributes);
    this.#note(file, chunk.length, isLast);
  }

  #block(key: string, chunk: ChunkRef): GroupBlock {
    const known = this.blocks.get(key);
    if (known !== undefined) return known;
    const block = { wanted: wantedBlock(this.#objects, chunk), files: [], parts: [] };
    this.blocks.set(key, block);
    return block;
  }

  #note(file: F, bytes: number, isLast: boolean): void {
    this.#bytes += bytes;
    this.written.push({ file, bytes, isLast });
  }
}

/** Chunks that lie behind each other are written at once. */
function joined(chunks: readonly ChunkRef[]): readonly (readonly [number, number])[] {
  const spans: [number, number][] = [];
  for (const { offsetInBlock, length } of chunks) {
    const last = spans.at(-1);
    if (last !== undefined && last[0] + last[1] === offsetInBlock) last[1] += length;
    else spans.push([offsetInBlock, length]);
  }
  return spans;
}

function addJoined(parts: FilePart[], part: FilePart): void {
  const last = parts.at(-1);
  const follows =
    last?.descriptor === part.descriptor &&
    last.offsetInBlock + last.length === part.offsetInBlock &&
    last.position + last.length === part.position;
  if (follows) parts.splice(-1, 1, { ...last, length: last.length + part.length });
  else parts.push(part);
}
