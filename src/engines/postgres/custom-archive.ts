import { ArchiveCursor, corrupted } from "./archive-cursor.ts";
import { CopyLines } from "./copy-lines.ts";

/**
 * Reads a `pg_dump --format=custom` archive while it streams by: header, table of contents, and where each data block lies.
 * The format is PostgreSQL's own; it has no specification but its source, `pg_backup_archiver.c` (header, table of contents)
 * and `pg_backup_custom.c` (data blocks). Archive versions 1.12 (pg_dump 9.0) to 1.16 (pg_dump 17 and 18) are known.
 */
interface ArchiveReader {
  /** Takes the next bytes, however the stream was cut, and keeps none of their memory. @throws `BACKUP_CORRUPTED` as soon as they can't be an archive. */
  push(bytes: Uint8Array): void;
  /** The object whose data is being read, for the progress line. */
  readonly current: string | undefined;
  /** After the last byte: throws `BACKUP_CORRUPTED` unless the data of every entry that announced some has come whole. */
  end(): Archive;
}

export interface Archive {
  readonly header: ArchiveHeader;
  readonly toc: readonly TocEntry[];
  /** In stream order. */
  readonly blocks: readonly DataBlock[];
  readonly sizeBytes: number;
}

interface ArchiveHeader {
  /** `1.14`: the version of the format, not of PostgreSQL. */
  readonly version: string;
  readonly integerBytes: number;
  readonly offsetBytes: number;
  /** `none`, `gzip`, `lz4`, `zstd`. */
  readonly compression: string;
  readonly database: string | undefined;
  readonly serverVersion: string | undefined;
  readonly dumpVersion: string | undefined;
}

/** One object of the database, as the table of contents has it. */
export interface TocEntry {
  readonly dumpId: number;
  readonly hasData: boolean;
  readonly tag: string;
  /** `TABLE`, `TABLE DATA`, `SEQUENCE SET`, `BLOBS`, … */
  readonly description: string;
  readonly definition: string;
  readonly copyStatement: string;
  readonly schema: string | undefined;
  readonly owner: string;
}

interface DataBlock {
  readonly dumpId: number;
  /** Of the block's payload: its chunks, each after its length, and the zero that ends them. */
  readonly offset: number;
  readonly size: number;
  /** Lines before the end mark for a table, large objects for a block of those. */
  readonly rows: number;
}

const MAGIC = "PGDMP";
const FORMAT_CUSTOM = 1;
const BLOCK_DATA = 1;
const BLOCK_LARGE_OBJECTS = 3;
const MIN_VERSION = 12;
const MAX_VERSION = 16;
const COMPRESSIONS = ["none", "gzip", "lz4", "zstd"];

interface Parts {
  header?: ArchiveHeader;
  toc?: readonly TocEntry[];
  readonly blocks: DataBlock[];
  betweenBlocks: boolean;
  current?: string | undefined;
}

type Reading<T> = Generator<undefined, T, Uint8Array>;

export function createArchiveReader(): ArchiveReader {
  const cursor = new ArchiveCursor();
  const copied = new CopyLines();
  const parts: Parts = { blocks: [], betweenBlocks: false };
  let received = 0;

  function* read(): Reading<never> {
    const header = yield* readHeader(cursor);
    parts.header = header;
    parts.toc = yield* readToc(cursor, Number(header.version.split(".")[1]));
    const names = new Map(parts.toc.map((entry) => [entry.dumpId, nameOf(entry)]));
    const begun = (dumpId: number) => {
      parts.current = names.get(dumpId);
    };
    for (;;) {
      parts.betweenBlocks = true;
      if (!cursor.has(1)) yield* cursor.fill(1);
      parts.betweenBlocks = false;
      parts.blocks.push(yield* readBlock(cursor, copied, begun));
    }
  }

  const reading = read();
  reading.next();
  return {
    get current() {
      return parts.current;
    },
    push(bytes) {
      if (bytes.byteLength === 0) return;
      received += bytes.byteLength;
      reading.next(bytes);
    },
    end() {
      const { header, toc, blocks, betweenBlocks } = parts;
      if (header === undefined || toc === undefined)
        throw corrupted(`it ends within its table of contents, after ${received} bytes`);
      if (!betweenBlocks) throw corrupted(`it ends in the middle of a data block, after ${received} bytes`);
      requireAllData(toc, blocks);
      return { header, toc, blocks, sizeBytes: received };
    },
  };
}

function requireAllData(toc: readonly TocEntry[], blocks: readonly DataBlock[]): void {
  const come = new Set(blocks.map((block) => block.dumpId));
  if (come.size !== blocks.length) throw corrupted("the data of one object comes twice");
  const missing = toc.filter((entry) => entry.hasData && !come.delete(entry.dumpId));
  const [first] = missing;
  if (first !== undefined) {
    throw corrupted(`it ends before the data of ${missing.length} object(s), the first is ${nameOf(first)}`);
  }
  if (come.size > 0) throw corrupted("it has data of objects that its table of contents does not know");
}

function nameOf(entry: TocEntry): string {
  return entry.schema === undefined ? entry.tag : `${entry.schema}.${entry.tag}`;
}

function* readHeader(cursor: ArchiveCursor): Reading<ArchiveHeader> {
  if (!cursor.has(MAGIC.length)) yield* cursor.fill(MAGIC.length);
  if (cursor.take(MAGIC.length).toString("latin1") !== MAGIC) throw corrupted(`it does not begin with ${MAGIC}`);
  const major = yield* cursor.byte();
  const minor = yield* cursor.byte();
  yield* cursor.byte();
  if (major !== 1 || minor < MIN_VERSION || minor > MAX_VERSION) {
    throw corrupted(`archive version ${major}.${minor} is unknown, 1.${MIN_VERSION} to 1.${MAX_VERSION} are known`);
  }
  cursor.integerBytes = sizeOf("integer", yield* cursor.byte());
  cursor.offsetBytes = sizeOf("offset", yield* cursor.byte());
  const format = yield* cursor.byte();
  if (format !== FORMAT_CUSTOM) throw corrupted(`it is of format ${format}, not custom`);
  const compression = yield* readCompression(cursor, minor);
  // seconds, minutes, hours, day, month, year, daylight saving: when the dump began
  for (let field = 0; field < 7; field++) yield* cursor.integer();
  return {
    version: `${major}.${minor}`,
    integerBytes: cursor.integerBytes,
    offsetBytes: cursor.offsetBytes,
    compression,
    database: yield* cursor.string(),
    serverVersion: yield* cursor.string(),
    dumpVersion: yield* cursor.string(),
  };
}

function sizeOf(what: string, bytes: number): number {
  if (bytes < 2 || bytes > 8) throw corrupted(`an ${what} has ${bytes} bytes`);
  return bytes;
}

/** From 1.15 an algorithm, before it a level of gzip, where zero is none. */
function* readCompression(cursor: ArchiveCursor, minor: number): Reading<string> {
  if (minor < 15) return (yield* cursor.integer()) === 0 ? "none" : "gzip";
  const algorithm = yield* cursor.byte();
  const name = COMPRESSIONS[algorithm];
  if (name === undefined) throw corrupted(`compression ${algorithm} is unknown`);
  return name;
}

function* readToc(cursor: ArchiveCursor, minor: number): Reading<readonly TocEntry[]> {
  const count = yield* cursor.integer();
  if (count < 0) throw corrupted(`its table of contents has ${count} entries`);
  const entries: TocEntry[] = [];
  while (entries.length < count) entries.push(yield* readTocEntry(cursor, minor));
  return entries;
}

function* readTocEntry(cursor: ArchiveCursor, minor: number): Reading<TocEntry> {
  const dumpId = yield* cursor.integer();
  const hasData = (yield* cursor.integer()) !== 0;
  yield* cursor.string(); // oid of the catalog
  yield* cursor.string(); // oid of the object
  const tag = (yield* cursor.string()) ?? "";
  const description = (yield* cursor.string()) ?? "";
  yield* cursor.integer(); // section
  const definition = (yield* cursor.string()) ?? "";
  yield* cursor.string(); // drop statement
  const copyStatement = (yield* cursor.string()) ?? "";
  const schema = yield* cursor.string();
  yield* cursor.string(); // tablespace
  if (minor >= 14) yield* cursor.string(); // table access method
  if (minor >= 16) yield* cursor.integer(); // kind of relation
  const owner = (yield* cursor.string()) ?? "";
  yield* cursor.string(); // with oids
  while ((yield* cursor.string()) !== undefined); // dependencies
  // where the data lies, which a dump into a pipe can't know when it writes this
  const offsetField = 1 + cursor.offsetBytes;
  if (!cursor.has(offsetField)) yield* cursor.fill(offsetField);
  cursor.take(offsetField);
  return { dumpId, hasData, tag, description, definition, copyStatement, schema: schema || undefined, owner };
}

function* readBlock(cursor: ArchiveCursor, copied: CopyLines, begun: (dumpId: number) => void): Reading<DataBlock> {
  const start = cursor.offset;
  const type = yield* cursor.byte();
  if (type !== BLOCK_DATA && type !== BLOCK_LARGE_OBJECTS) {
    throw corrupted(`a block of type ${type} at offset ${start}`);
  }
  const dumpId = yield* cursor.integer();
  begun(dumpId);
  const offset = cursor.offset;
  const rows = type === BLOCK_DATA ? yield* readTable(cursor, copied) : yield* readLargeObjects(cursor);
  return { dumpId, offset, size: cursor.offset - offset, rows };
}

function* readLargeObjects(cursor: ArchiveCursor): Reading<number> {
  let objects = 0;
  while ((yield* cursor.integer()) !== 0) {
    yield* readChunks(cursor);
    objects++;
  }
  return objects;
}

/** Counts lines: COPY writes a newline inside a value as `\n`, so each line is a row, except the end mark and what follows it. */
function* readTable(cursor: ArchiveCursor, copied: CopyLines): Reading<number> {
  copied.begin();
  yield* readChunks(cursor, copied);
  const mark = /(?:^|[\n\0])\\\.(\n*)$/.exec(copied.tail.toString("latin1"));
  return copied.lines - (mark?.[1]?.length ?? 0);
}

/** `copied` gets what lies in the chunks. */
function* readChunks(cursor: ArchiveCursor, copied?: CopyLines): Reading<void> {
  for (;;) {
    if (copied !== undefined) cursor.passChunks(copied);
    if (!cursor.has(cursor.sizeOfInteger)) yield* cursor.fill(cursor.sizeOfInteger);
    let left = cursor.integerHere();
    if (left === 0) return;
    if (left < 0) throw corrupted(`a chunk of ${left} bytes at offset ${cursor.offset}`);
    while (left > 0) {
      if (!cursor.has(1)) yield* cursor.fill(1);
      left -= cursor.pass(left, copied);
    }
  }
}
