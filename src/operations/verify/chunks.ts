import type { StoredArtifact } from "../../domain/backup.ts";
import { packName } from "../../domain/object-names.ts";
import type { WholeBlock } from "../../format/artifact-reader.ts";
import { BLOCK_HEADER_BYTES, DamageError } from "../../format/block.ts";
import type { BlockReader, WantedBlock } from "../../format/block-reader.ts";
import { StoredDamage } from "../../format/pack-source.ts";
import type { ChunkRef, Root } from "../../format/root.ts";
import { sha256 } from "../../format/workers/hashing.ts";
import { giveBack } from "../../platform/own-memory.ts";

const COLUMNS = 6;
const HASH_BYTES = 32;
/** Blocks asked for together, about 1 MiB each however little of them is wanted. Two such windows are open at once. */
const WINDOW_BLOCKS = 8;

/**
 * Every chunk that an index refers to, in 56 bytes each: a million files fit into a quarter of what a run may use. Sorted by their place,
 * so that each block is opened once.
 */
export class ChunkReferences {
  #numbers = new Uint32Array(COLUMNS * 1024);
  #hashes = Buffer.alloc(HASH_BYTES * 1024);
  #count = 0;
  #sorted = true;
  #order: Uint32Array = new Uint32Array();

  add(chunk: ChunkRef): void {
    if (this.#count * COLUMNS === this.#numbers.length) this.#grow();
    const at = this.#count * COLUMNS;
    this.#numbers.set(
      [chunk.object, chunk.pack, chunk.blockOffset, chunk.offsetInBlock, chunk.length, chunk.blockStored],
      at,
    );
    this.#hashes.write(chunk.sha256, this.#count * HASH_BYTES, "hex");
    if (this.#sorted && this.#count > 0 && this.#compare(this.#count - 1, this.#count) > 0) this.#sorted = false;
    this.#count++;
  }

  /** Those in objects that `wanted` says yes to, in the order of their places, each once. */
  *inOrder(wanted: (object: number) => boolean): Generator<ChunkRef> {
    this.#sort();
    let last: ChunkRef | undefined;
    for (const row of this.#order) {
      if (!wanted(this.#numbers[row * COLUMNS] ?? 0)) continue;
      const chunk = this.#read(row);
      if (last === undefined || !isSame(last, chunk)) yield chunk;
      last = chunk;
    }
  }

  #sort(): void {
    if (this.#order.length === this.#count) return;
    this.#order = Uint32Array.from({ length: this.#count }, (_, row) => row);
    if (!this.#sorted) this.#order.sort((left, right) => this.#compare(left, right));
  }

  #compare(left: number, right: number): number {
    for (let column = 0; column < COLUMNS; column++) {
      const difference = (this.#numbers[left * COLUMNS + column] ?? 0) - (this.#numbers[right * COLUMNS + column] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #read(row: number): ChunkRef {
    const number = (column: number): number => this.#numbers[row * COLUMNS + column] ?? 0;
    return {
      object: number(0),
      pack: number(1),
      blockOffset: number(2),
      offsetInBlock: number(3),
      length: number(4),
      blockStored: number(5),
      sha256: this.#hashes.toString("hex", row * HASH_BYTES, (row + 1) * HASH_BYTES),
    };
  }

  #grow(): void {
    const numbers = new Uint32Array(this.#numbers.length * 2);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
    this.#hashes = Buffer.concat([this.#hashes, Buffer.alloc(this.#hashes.length)]);
  }
}

function isSame(a: ChunkRef, b: ChunkRef): boolean {
  return isInSameBlock(a, b) && a.offsetInBlock === b.offsetInBlock && a.length === b.length && a.sha256 === b.sha256;
}

function isInSameBlock(a: ChunkRef, b: ChunkRef): boolean {
  return (
    a.object === b.object && a.pack === b.pack && a.blockOffset === b.blockOffset && a.blockStored === b.blockStored
  );
}

/**
 * Compares the blocks of an artifact, in their order, with the chunks that are said to be in them: one pass opens every block and
 * checks every chunk. @throws StoredDamage
 */
export async function compareWithBlocks(
  origin: Root["backupId"],
  artifact: StoredArtifact,
  blocks: AsyncIterable<WholeBlock>,
  chunks: Iterable<ChunkRef>,
): Promise<void> {
  const wanted = chunks[Symbol.iterator]();
  let next = wanted.next();
  const damage = (pack: number, offset: number, what: string): StoredDamage => {
    const name = packName(artifact.name, pack);
    return new StoredDamage(origin, name, `${name}, block at ${offset}: ${what}`);
  };
  let last: WholeBlock | undefined;
  const compare = (block: WholeBlock, end: number): void => {
    for (
      ;
      !next.done && next.value.pack === block.pack && next.value.blockOffset === block.offset;
      next = wanted.next()
    ) {
      const { offsetInBlock, length, blockStored } = next.value;
      const bytes = block.raw.subarray(offsetInBlock, offsetInBlock + length);
      const whole = bytes.length === length && sha256(bytes).toString("hex") === next.value.sha256;
      if (!whole) throw damage(block.pack, block.offset, `chunk at ${offsetInBlock} does not match its SHA-256`);
      if (block.offset + BLOCK_HEADER_BYTES + blockStored !== end)
        throw damage(block.pack, block.offset, "its length is not what the index says");
    }
    // Blocks and chunks come in one order: a chunk that was not met now never will be.
    const passed = !next.done && (next.value.pack - block.pack || next.value.blockOffset - block.offset) < 0;
    if (passed && !next.done)
      throw damage(next.value.pack, next.value.blockOffset, "the index refers to a block that is not there");
  };
  for await (const block of blocks) {
    if (last !== undefined) {
      compare(last, last.pack === block.pack ? block.offset : (artifact.packs[last.pack] ?? 0));
      giveBack(last.raw);
    }
    last = block;
  }
  if (last !== undefined) compare(last, artifact.packs[last.pack] ?? 0);
  if (!next.done)
    throw damage(next.value.pack, next.value.blockOffset, "the index refers to a block that is not there");
}

/** Opens the blocks that chunks lie in, each once, and checks every chunk. Damage is reported, and the next window read. */
export async function checkChunks(
  root: Root,
  chunks: Iterable<ChunkRef>,
  reader: BlockReader,
  report: (damage: StoredDamage) => void,
): Promise<void> {
  let before: readonly Promise<Uint8Array>[] = [];
  for (const window of windows(root, chunks)) {
    const opening = reader.read(window);
    await reportDamage(before, report);
    before = opening;
  }
  await reportDamage(before, report);
}

async function reportDamage(
  opening: readonly Promise<Uint8Array>[],
  report: (damage: StoredDamage) => void,
): Promise<void> {
  for (const result of await Promise.allSettled(opening)) {
    if (result.status === "fulfilled") giveBack(result.value);
    else if (result.reason instanceof StoredDamage) report(result.reason);
    else throw result.reason;
  }
}

function* windows(root: Root, chunks: Iterable<ChunkRef>): Generator<readonly WantedBlock[]> {
  let window: WantedBlock[] = [];
  let last: ChunkRef | undefined;
  for (const chunk of chunks) {
    const open = window.at(-1);
    if (last !== undefined && open !== undefined && isInSameBlock(last, chunk)) {
      open.chunks.push(chunk);
    } else {
      if (window.length === WINDOW_BLOCKS) {
        yield window;
        window = [];
      }
      const object = root.objects[chunk.object];
      if (object === undefined)
        throw new DamageError(`the index names object ${chunk.object}, which the root does not list`);
      window.push({ object, pack: chunk.pack, offset: chunk.blockOffset, stored: chunk.blockStored, chunks: [chunk] });
    }
    last = chunk;
  }
  if (window.length > 0) yield window;
}
