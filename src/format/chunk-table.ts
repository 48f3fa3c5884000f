import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import * as path from "node:path";
import { HASH_BYTES } from "./workers/hashing.ts";

/** Where a chunk lies: everything a reader needs besides its hash. See docs/format.md, "Root". */
export interface ChunkLocation {
  /** Number in the root's table of objects. */
  readonly object: number;
  readonly pack: number;
  readonly blockOffset: number;
  /** Stored bytes of the block behind its header, tag included. */
  readonly blockStored: number;
  readonly offsetInBlock: number;
}

/** Layout of a record: hash, then six numbers of four bytes. `blockStored` 0: the chunk is new and has no place yet. */
const RECORD_BYTES = HASH_BYTES + 6 * 4;
const SEGMENT_RECORDS = 16 * 1024;
const SEGMENT_BYTES = SEGMENT_RECORDS * RECORD_BYTES;
/** 40 segments: 36 MB of records; with the slots below the table stays under 64 MB, then goes on in a temporary file. */
const SEGMENTS_IN_MEMORY = 40;

/** All chunks that a lineage and the running backup hold, by SHA-256. Records are numbered in the order they were added. */
export class ChunkTable {
  readonly #temporaryDirectory: string;
  readonly #segments: Buffer[] = [];
  readonly #scratch = Buffer.alloc(RECORD_BYTES);
  /** Pairs of fingerprint and record number + 1, in open addressing. */
  #slots = new Uint32Array(2 * 4096);
  #count = 0;
  #file: number | undefined;
  #load: ((table: ChunkTable) => void) | undefined;

  /** `load` adds what is known from before, when the first chunk is asked for: most runs of an unchanged tree never ask. */
  constructor(temporaryDirectory: string, load?: (table: ChunkTable) => void) {
    this.#temporaryDirectory = temporaryDirectory;
    this.#load = load;
  }

  get size(): number {
    return this.#count;
  }

  /** The record of the chunk whose hash lies at `at`, or -1. */
  find(hashes: Uint8Array, at: number): number {
    if (this.#load !== undefined) this.#loadKnown(this.#load);
    const fingerprint = fingerprintOf(hashes, at);
    const mask = this.#slots.length / 2 - 1;
    for (let slot = spread(fingerprint) & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot * 2 + 1] as number;
      if (entry === 0) return -1;
      if (this.#slots[slot * 2] === fingerprint && this.#holds(entry - 1, hashes, at)) return entry - 1;
    }
  }

  /** Adds a chunk that `find` did not find. */
  add(hashes: Uint8Array, at: number, length: number, location?: ChunkLocation): number {
    if ((this.#count + 1) * 3 > this.#slots.length) this.#rehash();
    const record = this.#count++;
    const bytes = this.#scratch;
    bytes.set(hashes.subarray(at, at + HASH_BYTES), 0);
    bytes.writeUInt32LE(length, HASH_BYTES);
    writeLocation(bytes, location);
    this.#store(record, bytes);
    this.#occupy(fingerprintOf(hashes, at), record + 1);
    return record;
  }

  place(record: number, location: ChunkLocation): void {
    const bytes = this.#record(record);
    writeLocation(bytes, location);
    if (record >= SEGMENTS_IN_MEMORY * SEGMENT_RECORDS) this.#store(record, bytes);
  }

  /** The chunk as it stands in an index line: `["<sha256>",length,object,pack,offset,stored,offset in block]`. */
  tuple(record: number): string {
    const bytes = this.#record(record);
    const n = (i: number): number => bytes.readUInt32LE(HASH_BYTES + i * 4);
    if (n(4) === 0) throw new Error(`chunk ${record} has no place yet`);
    return `["${bytes.toString("hex", 0, HASH_BYTES)}",${n(0)},${n(1)},${n(2)},${n(3)},${n(4)},${n(5)}]`;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #loadKnown(load: (table: ChunkTable) => void): void {
    this.#load = undefined;
    load(this);
  }

  #holds(record: number, hashes: Uint8Array, at: number): boolean {
    return this.#record(record).compare(hashes, at, at + HASH_BYTES, 0, HASH_BYTES) === 0;
  }

  #record(record: number): Buffer {
    const segment = Math.floor(record / SEGMENT_RECORDS);
    const offset = (record % SEGMENT_RECORDS) * RECORD_BYTES;
    if (segment < SEGMENTS_IN_MEMORY) {
      const bytes = this.#segments[segment];
      if (bytes === undefined) throw new RangeError(`no chunk ${record}`);
      return bytes.subarray(offset, offset + RECORD_BYTES);
    }
    readSync(this.#overflow(), this.#scratch, 0, RECORD_BYTES, this.#filePosition(segment, offset));
    return this.#scratch;
  }

  #store(record: number, bytes: Buffer): void {
    const segment = Math.floor(record / SEGMENT_RECORDS);
    const offset = (record % SEGMENT_RECORDS) * RECORD_BYTES;
    if (segment < SEGMENTS_IN_MEMORY) {
      this.#segments[segment] ??= Buffer.alloc(SEGMENT_BYTES);
      bytes.copy(this.#segments[segment] as Buffer, offset);
    } else {
      writeSync(this.#overflow(), bytes, 0, RECORD_BYTES, this.#filePosition(segment, offset));
    }
  }

  #filePosition(segment: number, offset: number): number {
    return (segment - SEGMENTS_IN_MEMORY) * SEGMENT_BYTES + offset;
  }

  /** A file without a name: it goes with the process, however that ends. */
  #overflow(): number {
    if (this.#file === undefined) {
      const name = path.join(this.#temporaryDirectory, "chunks");
      this.#file = openSync(name, "wx+", 0o600);
      unlinkSync(name);
    }
    return this.#file;
  }

  #occupy(fingerprint: number, entry: number): void {
    const mask = this.#slots.length / 2 - 1;
    let slot = spread(fingerprint) & mask;
    while (this.#slots[slot * 2 + 1] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot * 2] = fingerprint;
    this.#slots[slot * 2 + 1] = entry;
  }

  #rehash(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 2) {
      const entry = old[i + 1] as number;
      if (entry !== 0) this.#occupy(old[i] as number, entry);
    }
  }
}

function writeLocation(bytes: Buffer, location: ChunkLocation | undefined): void {
  const at = HASH_BYTES + 4;
  bytes.writeUInt32LE(location?.object ?? 0, at);
  bytes.writeUInt32LE(location?.pack ?? 0, at + 4);
  bytes.writeUInt32LE(location?.blockOffset ?? 0, at + 8);
  bytes.writeUInt32LE(location?.blockStored ?? 0, at + 12);
  bytes.writeUInt32LE(location?.offsetInBlock ?? 0, at + 16);
}

function fingerprintOf(hashes: Uint8Array, at: number): number {
  const byte = (i: number): number => hashes[at + i] as number;
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0;
}

function spread(fingerprint: number): number {
  return Math.imul(fingerprint, 0x9e3779b1) >>> 1;
}
