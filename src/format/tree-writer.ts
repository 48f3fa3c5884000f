import type { TreeNode } from "../domain/artifact.ts";
import { sizeOfAttributes } from "../platform/extended-attributes.ts";
import type { ArtifactWriter } from "./artifact-writer.ts";
import { BoundedQueue, runLoops } from "./bounded-queue.ts";
import type { ChunkTable } from "./chunk-table.ts";
import { IndexLines } from "./index-lines.ts";
import { type FileContent, LargeFileReader } from "./large-file.ts";
import type { LineWriter } from "./line-writer.ts";
import type { ParentEntries } from "./parent-index.ts";
import { SharedBuffers } from "./shared-buffers.ts";
import { SmallFileBatch } from "./small-files.ts";
import { isRacy, isUnchanged, saysTheSame, statPart, treeLines } from "./tree-line.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** Larger files are read part by part. */
const SMALL_FILE_BYTES = 1024 * 1024;
const BATCH_BUDGET_BYTES = 5 * SmallFileBatch.BYTES;

export interface TreeWriterOptions {
  readonly pool: WorkerPool;
  readonly writer: ArtifactWriter;
  readonly table: ChunkTable;
  /** Where the index is written on this host. */
  readonly index: LineWriter;
  readonly parent: ParentEntries | undefined;
  /** As its turn comes. */
  readonly onEntry: (node: TreeNode) => void;
  /** Read, or known to be unchanged. */
  readonly onBytes: (count: number) => void;
  /** An entry that could not be read; it is left out of the index. */
  readonly onUnreadable: (name: Buffer, errno: string) => void;
  /** An entry that went on changing while it was read. */
  readonly onChanged: (name: Buffer) => void;
}

export interface TreeTotals {
  readonly entries: number;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly bytes: number;
  /** Taken over from the parent without being read. */
  readonly unchanged: number;
  /** New, or not as the parent has them. */
  readonly changed: number;
}

interface Entry {
  readonly node: TreeNode;
  /** What the parent's index says of the name. */
  readonly before: readonly Buffer[] | undefined;
}

type Item = Entry &
  (
    | { readonly kind: "unchanged"; readonly before: readonly Buffer[] }
    | { readonly kind: "plain" | "large" }
    | { readonly kind: "small"; readonly batch: SmallFileBatch; readonly place: number }
  );

/**
 * Writes a file tree. Three loops: the first decides what must be read and sends small files to the workers in batches,
 * the second takes contents in order, the third writes index lines once their chunks have a place.
 */
export async function writeTree(
  nodes: AsyncIterable<readonly TreeNode[]>,
  options: TreeWriterOptions,
): Promise<TreeTotals> {
  const run = new TreeRun(options);
  await run.write(nodes);
  return run.totals;
}

class TreeRun {
  readonly totals = { entries: 0, files: 0, directories: 0, symlinks: 0, bytes: 0, unchanged: 0, changed: 0 };
  readonly #options: TreeWriterOptions;
  readonly #items = new BoundedQueue<readonly Item[]>(8);
  readonly #lines: IndexLines;
  readonly #buffers = new SharedBuffers(BATCH_BUDGET_BYTES);
  readonly #large: LargeFileReader;
  readonly #decided: Item[] = [];
  #batch: SmallFileBatch | undefined;

  constructor(options: TreeWriterOptions) {
    this.#options = options;
    this.#lines = new IndexLines(options.writer, options.index);
    this.#large = new LargeFileReader(options);
  }

  async write(nodes: AsyncIterable<readonly TreeNode[]>): Promise<void> {
    await runLoops([this.#decide(nodes), this.#take(), this.#lines.run()], [this.#items, this.#lines]);
  }

  async #decide(nodes: AsyncIterable<readonly TreeNode[]>): Promise<void> {
    for await (const group of nodes) {
      for (const node of group) {
        if (this.#batch?.fits(node) === false) await this.#sendDecided();
        this.#decided.push(this.#decideOne(node));
      }
      await this.#sendDecided();
    }
    this.#items.close();
  }

  #decideOne(node: TreeNode): Item {
    const before = this.#options.parent?.find(node.name);
    // Only reading tells whether a file of no size is empty.
    const saysItsSize = node.type !== "file" || node.size > 0;
    if (saysItsSize && before?.[0] !== undefined && isUnchanged(before[0], Buffer.from(statPart(node), "utf8"))) {
      return { kind: "unchanged", node, before };
    }
    if (node.type !== "file") return { kind: "plain", node, before };
    if (node.size > SMALL_FILE_BYTES) return { kind: "large", node, before };
    this.#batch ??= new SmallFileBatch();
    return { kind: "small", node, before, batch: this.#batch, place: this.#batch.add(node) };
  }

  /** Hands over what is decided, and only then waits for memory to read into: the taker gives it back, in order. */
  async #sendDecided(): Promise<void> {
    const batch = this.#batch;
    this.#batch = undefined;
    await this.#items.push(this.#decided.splice(0));
    if (batch !== undefined) batch.send(await this.#buffers.acquire(SmallFileBatch.BYTES), this.#options.pool);
  }

  async #take(): Promise<void> {
    for await (const items of this.#items) {
      for (const item of items) {
        this.#options.onEntry(item.node);
        await this.#takeOne(item);
      }
    }
    this.#lines.end();
  }

  async #takeOne(item: Item): Promise<void> {
    switch (item.kind) {
      case "unchanged":
        this.#count(item.node, item.node.size);
        this.#options.onBytes(item.node.size);
        this.totals.unchanged++;
        return this.#lines.add(() => item.before.map(withLineFeed));
      case "plain":
        return this.#addEntry(item, undefined);
      case "small":
        return this.#takeSmall(item, item.batch, item.place);
      case "large":
        return this.#takeContent(item, await this.#large.read(item.node));
    }
  }

  async #takeSmall(entry: Entry, batch: SmallFileBatch, place: number): Promise<void> {
    const content = await batch.take(place, this.#options.writer);
    if (content === "grown") return this.#takeContent(entry, await this.#large.read(entry.node));
    this.#options.onBytes(content.state.size);
    await this.#takeContent(entry, content);
    await this.#options.writer.drain();
  }

  async #takeContent(entry: Entry, content: FileContent): Promise<void> {
    if (content.errno !== undefined) {
      if (entry.before !== undefined) this.totals.changed++;
      this.#options.onUnreadable(entry.node.name, content.errno);
      return;
    }
    if (content.changed) this.#options.onChanged(entry.node.name);
    await this.#addEntry(entry, content);
  }

  async #addEntry({ node, before }: Entry, content: FileContent | undefined): Promise<void> {
    const entry: TreeNode = content === undefined ? node : { ...node, ...content.state };
    this.#count(entry, entry.size);
    const attributes = node.attributes?.(content?.attributes);
    await this.#lines.add(() => {
      const lines = treeLines({
        statPart: statPart(entry),
        untrusted: content?.changed === true || isRacy({ ...entry, statAtNs: node.statAtNs }),
        changed: content?.changed === true,
        attributes,
        holes: content?.holes ?? [],
        chunks: (content?.records ?? []).map((record) => this.#options.table.tuple(record)),
      });
      if (before === undefined || !saysTheSame(before, lines)) this.totals.changed++;
      return [lines];
    }, sizeOfAttributes(attributes));
  }

  #count(node: TreeNode, bytes: number): void {
    this.totals.entries++;
    this.totals.bytes += bytes;
    if (node.type === "file") this.totals.files++;
    else if (node.type === "directory") this.totals.directories++;
    else this.totals.symlinks++;
  }
}

/** A line of the parent's index with the line feed that lies behind it in the same memory. */
function withLineFeed(line: Buffer): Buffer {
  return Buffer.from(line.buffer, line.byteOffset, line.length + 1);
}
