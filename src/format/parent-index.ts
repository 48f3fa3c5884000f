import { compareNames } from "../platform/walk.ts";
import { DamageError } from "./block.ts";
import type { ChunkTable } from "./chunk-table.ts";
import { LineReader } from "./line-reader.ts";
import { nameOfLine } from "./tree-line.ts";

/** What a parent's backup says of itself is not what any release writes: nothing of the new backup is wrong. */
export class UnreadableParent extends Error {
  override readonly name = "UnreadableParent";
}

/** @throws UnreadableParent in place of DamageError, which would be of the new backup */
export function readingParent<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    throw new UnreadableParent(error.message, { cause: error });
  }
}

/** The parent's index as this host's cache holds it: entries in order, and all chunks that need not be stored again. */
export class ParentEntries {
  readonly #lines: LineReader;
  #ahead: Buffer | undefined;
  #name: Buffer | undefined;
  #entry: readonly Buffer[] = [];
  #matched = false;
  #unmatched = 0;

  constructor(file: string) {
    this.#lines = new LineReader(file);
    readingParent(() => {
      this.#ahead = this.#lines.next();
      this.#advance();
    });
  }

  /** The lines of the entry of this name, without line feeds. Ask in the order of the index. */
  find(name: Buffer): readonly Buffer[] | undefined {
    return readingParent(() => this.#find(name));
  }

  #find(name: Buffer): readonly Buffer[] | undefined {
    while (this.#name !== undefined) {
      if (this.#name.equals(name)) {
        this.#matched = true;
        return this.#entry;
      }
      if (compareNames(this.#name, name) > 0) return undefined;
      this.#advance();
    }
    return undefined;
  }

  /** Entries that nobody found: what the tree no longer has. Reads to the end. */
  countUnmatched(): number {
    readingParent(() => {
      while (this.#name !== undefined) this.#advance();
    });
    return this.#unmatched;
  }

  close(): void {
    this.#lines.close();
  }

  #advance(): void {
    if (this.#name !== undefined && !this.#matched) this.#unmatched++;
    this.#matched = false;
    const first = this.#ahead;
    this.#name = first === undefined ? undefined : nameOfLine(first);
    if (first === undefined || this.#name === undefined) return;
    const entry = [first];
    for (;;) {
      this.#ahead = this.#lines.next();
      if (this.#ahead === undefined || this.#ahead.indexOf('{"more":', 0, "latin1") !== 0) break;
      entry.push(this.#ahead);
    }
    this.#entry = entry;
  }
}

/** What a `ChunkTable` holds of each number; what may be smaller is checked where the chunk is read. */
const MOST = 2 ** 32 - 1;

/** A tuple as text: `["<64 hex>",n,n,n,n,n,n]`. */
const TUPLE = /\["([0-9a-f]{64})",(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\]/g;

/** Adds every chunk of an index (or root) file to the table. */
export function loadChunks(file: string, table: ChunkTable): void {
  readingParent(() => loadAll(file, table));
}

function loadAll(file: string, table: ChunkTable): void {
  const lines = new LineReader(file);
  try {
    for (let line = lines.next(); line !== undefined; line = lines.next()) {
      const at = line.indexOf('"chunks":[', 0, "latin1");
      if (at >= 0) addTuples(line.toString("latin1", at), table);
    }
  } finally {
    lines.close();
  }
}

function addTuples(text: string, table: ChunkTable): void {
  for (const [, hex = "", ...numbers] of text.matchAll(TUPLE)) {
    const values = numbers.map(Number);
    const [length = 0, object = 0, pack = 0, blockOffset = 0, blockStored = 0, offsetInBlock = 0] = values;
    if (blockStored === 0) throw new DamageError("a chunk of the index has no place");
    if (values.some((value) => value > MOST)) throw new DamageError(`a count up to ${MOST} was expected`);
    const hash = Buffer.from(hex, "hex");
    if (table.find(hash, 0) < 0) table.add(hash, 0, length, { object, pack, blockOffset, blockStored, offsetInBlock });
  }
}
