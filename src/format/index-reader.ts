import { createHash } from "node:crypto";
import { type ExtendedAttributes, isFileName, type NodeType, type StreamEntry } from "../domain/artifact.ts";
import type { BackupId, StoredArtifact } from "../domain/backup.ts";
import { compareNames, contains } from "../platform/walk.ts";
import { readWholeRoot } from "./artifact-reader.ts";
import { DamageError } from "./block.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { LineReader } from "./line-reader.ts";
import { LineWriter } from "./line-writer.ts";
import { type PackSource, StoredDamage } from "./pack-source.ts";
import {
  arrayOf,
  type ChunkRef,
  chunksOf,
  countOf,
  parseObject,
  parseRoot,
  type Root,
  recordOf,
  textOf,
} from "./root.ts";
import { isNodeType, nameOfLine } from "./tree-line.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** Reads and checks a source's root. @throws StoredDamage */
export async function readRoot(
  origin: BackupId,
  source: { readonly name: string; readonly kind: string; readonly root: StoredArtifact },
  encrypted: boolean,
  packs: PackSource,
  pool: WorkerPool,
): Promise<{ readonly root: Root; readonly bytes: Buffer }> {
  const bytes = await readWholeRoot(origin, source.root, encrypted, packs, pool);
  try {
    const root = parseRoot(bytes);
    if (root.backupId !== origin || root.source !== source.name || root.kind !== source.kind) {
      throw new DamageError("the root is another source's");
    }
    return { root, bytes };
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    throw new StoredDamage(origin, source.root.name, `${source.root.name}: ${error.message}`, error);
  }
}

/** Fetches the index that a root describes into a local file, checked as a whole. @throws StoredDamage */
export async function fetchIndex(root: Root, file: string, packs: PackSource, pool: WorkerPool): Promise<void> {
  const reader = new ChunkReader(packs, pool, root.objects);
  const writer = new LineWriter(file);
  const hash = createHash("sha256");
  let size = 0;
  try {
    for await (const { bytes } of reader.read(root.chunks.map((chunk) => ({ chunk, what: undefined })))) {
      writer.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      hash.update(bytes);
      size += bytes.length;
    }
  } finally {
    writer.close();
  }
  if (size !== root.indexSize || hash.digest("hex") !== root.indexSha256) {
    const name = `${root.source}.${root.kind}.index`;
    throw new StoredDamage(root.backupId, name, `${name} is not the index that its root describes`);
  }
}

/** An entry of a file tree, as its lines say. */
export interface TreeEntry {
  readonly name: Buffer;
  readonly type: NodeType;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user: string | undefined;
  readonly group: string | undefined;
  readonly mtimeNs: bigint;
  readonly link: Buffer | undefined;
  readonly hardLink: string | undefined;
  readonly changed: boolean;
  readonly attributes: ExtendedAttributes | undefined;
  readonly holes: readonly (readonly [number, number])[];
  readonly chunks: readonly ChunkRef[];
}

export interface StreamIndex {
  readonly chunks: readonly ChunkRef[];
  readonly entries: readonly StreamEntry[];
  readonly inventory: Readonly<Record<string, unknown>> | undefined;
  readonly size: number;
}

/**
 * Entries of a tree's index file, in order. @throws DamageError for anything that no writer writes, at the latest at its end.
 * @param wanted where given, files that it does not want are passed over by the beginning of their line
 */
export function* readTreeIndex(file: string, wanted?: (name: Buffer) => boolean): Generator<TreeEntry> {
  const lines = new LineReader(file);
  const order = new EntryOrder();
  try {
    let open: OpenEntry | undefined;
    let entries = 0;
    let bytes = 0;
    for (const line of wantedLines(lines, order, wanted)) {
      const fields = parseObject(line.toString("utf8"));
      if (fields.more !== undefined) {
        if (open === undefined) throw new DamageError("the index goes on with an entry that it never began");
        open.chunks.push(...chunksOf(fields));
        continue;
      }
      if (open !== undefined) yield finished(open);
      if (fields.end === true) {
        const isWhole = fields.entries === entries && fields.bytes === bytes;
        return requireEnd(lines, isWhole || wanted !== undefined);
      }
      const entry = parseTreeEntry(fields);
      order.follow(entry);
      entries++;
      bytes += entry.size;
      open = entry;
    }
    throw new DamageError("the index is cut: its last line is missing");
  } finally {
    lines.close();
  }
}

/** All lines but those of files that are not wanted. */
function* wantedLines(
  lines: LineReader,
  order: EntryOrder,
  wanted: ((name: Buffer) => boolean) | undefined,
): Generator<Buffer> {
  let passing = false;
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    if (passing && isContinuation(line)) continue;
    const unwanted = wanted === undefined ? undefined : unwantedFile(line, wanted);
    passing = unwanted !== undefined;
    if (unwanted === undefined) yield line;
    else order.follow(unwanted);
  }
}

type Placed = Pick<TreeEntry, "name" | "type">;

function unwantedFile(line: Buffer, wanted: (name: Buffer) => boolean): Placed | undefined {
  // Inside of a name or the text of a link the quotes would be escaped.
  if (!line.includes('"type":"file"')) return undefined;
  const name = nameOfLine(line);
  return name === undefined || wanted(name) ? undefined : { name, type: "file" };
}

function isContinuation(line: Buffer): boolean {
  return line.indexOf('{"more":', 0, "latin1") === 0;
}

/** Every entry follows the one before, and lies below none but a directory. */
class EntryOrder {
  #last: Placed | undefined;

  follow(next: Placed): void {
    const last = this.#last;
    this.#last = next;
    if (last === undefined) return;
    if (compareNames(last.name, next.name) >= 0) throw new DamageError("the index is out of order");
    if (last.type === "directory") return;
    // What is below an entry follows it directly. Below a symlink it would be restored somewhere else.
    if (contains(last.name, next.name)) throw new DamageError("an entry lies below one that is no directory");
  }
}

function requireEnd(lines: LineReader, isAsItSays: boolean): void {
  if (lines.next() !== undefined) throw new DamageError("lines follow the index's last line");
  if (!isAsItSays) throw new DamageError("the index does not hold what its last line says");
}

/** Further lines may bring more chunks. */
type OpenEntry = TreeEntry & { readonly chunks: ChunkRef[] };

function finished(entry: OpenEntry): TreeEntry {
  let size = entry.chunks.reduce((sum, { length }) => sum + length, 0);
  let end = 0;
  for (const [offset, length] of entry.holes) {
    if (offset < end) throw new DamageError("an entry's holes are out of order");
    end = offset + length;
    size += length;
  }
  if (size !== entry.size || end > size) throw new DamageError("an entry's chunks and holes do not make up its size");
  return entry;
}

function parseTreeEntry(fields: Readonly<Record<string, unknown>>): OpenEntry {
  const type = textOf(fields.type);
  if (!isNodeType(type)) throw new DamageError(`unknown type of entry ${type}`);
  const pointsTo = fields.link !== undefined || fields.link_b64 !== undefined;
  if (type === "symlink" && !pointsTo) throw new DamageError("a symlink does not say what it points to");
  return {
    name: nameOf(fields),
    type,
    size: countOf(fields.size),
    mode: countOf(fields.mode),
    uid: countOf(fields.uid),
    gid: countOf(fields.gid),
    user: optionalText(fields.user),
    group: optionalText(fields.group),
    mtimeNs: nanosecondsOf(fields.mtime),
    link: pointsTo ? bytesOf(fields.link, fields.link_b64) : undefined,
    hardLink: optionalText(fields.hard_link),
    changed: fields.changed === true,
    attributes: fields.xattrs === undefined ? undefined : attributesOf(fields.xattrs),
    holes: fields.holes === undefined ? [] : arrayOf(fields.holes).map(holeOf),
    chunks: chunksOf(fields),
  };
}

/** An empty component, `.` and `..`: what would lead out of the place where a tree is restored. */
const STRANGE_PART = /(^|\/)\.{0,2}(\/|$)|\0/;

/** The source may be `/` itself, whose name is empty. */
function nameOf(fields: Readonly<Record<string, unknown>>): Buffer {
  const name = bytesOf(fields.name, fields.name_b64);
  const text = fields.name_b64 === undefined ? textOf(fields.name) : name.toString("latin1");
  if (name.length > 0 && STRANGE_PART.test(text)) throw new DamageError("an entry's name leads elsewhere");
  return name;
}

/** Whose entries are files: docs/format.md, "Engines". In other kinds they are named as in a database, which allows everything. */
const KINDS_OF_FILES: readonly string[] = ["sqlite", "output", "env"];

/** The index of a stream artifact of that kind. @throws DamageError */
export function readStreamIndex(file: string, kind: string): StreamIndex {
  const lines = new LineReader(file);
  const chunks: ChunkRef[] = [];
  const entries: StreamEntry[] = [];
  let inventory: Readonly<Record<string, unknown>> | undefined;
  try {
    for (let line = lines.next(); line !== undefined; line = lines.next()) {
      const fields = parseObject(line.toString("utf8"));
      if (fields.end === true) {
        const size = countOf(fields.bytes);
        const held = chunks.reduce((sum, { length }) => sum + length, 0);
        const within = entries.every((entry) => entry.offset + entry.size <= size);
        const counted = held === size && fields.chunks === chunks.length && fields.entries === entries.length;
        requireEnd(lines, counted && within);
        return { chunks, entries, inventory, size };
      }
      if (fields.chunks !== undefined) chunks.push(...chunksOf(fields));
      else if (fields.inventory !== undefined) inventory = recordOf(fields.inventory);
      else entries.push(parseStreamEntry(fields, kind));
    }
  } finally {
    lines.close();
  }
  throw new DamageError("the index is cut: its last line is missing");
}

function parseStreamEntry(fields: Readonly<Record<string, unknown>>, kind: string): StreamEntry {
  const name = textOf(fields.name);
  if (KINDS_OF_FILES.includes(kind) && !isFileName(name))
    throw new DamageError(`the entry ${JSON.stringify(name.slice(0, 200))} of its index is no file's name`);
  return {
    ...fields,
    name,
    type: textOf(fields.type),
    offset: countOf(fields.offset),
    size: countOf(fields.size),
  };
}

function bytesOf(text: unknown, base64: unknown): Buffer {
  return base64 === undefined ? Buffer.from(textOf(text), "utf8") : Buffer.from(textOf(base64), "base64");
}

function optionalText(value: unknown): string | undefined {
  return value === undefined ? undefined : textOf(value);
}

function nanosecondsOf(value: unknown): bigint {
  const text = textOf(value);
  if (!/^-?\d{1,30}$/.test(text)) throw new DamageError("a time is not a number of nanoseconds");
  return BigInt(text);
}

function attributesOf(value: unknown): ExtendedAttributes {
  return Object.fromEntries(Object.entries(recordOf(value)).map(([name, text]) => [name, textOf(text)]));
}

function holeOf(value: unknown): readonly [number, number] {
  const [offset, length, ...more] = arrayOf(value);
  if (more.length > 0) throw new DamageError("a hole has more than offset and length");
  return [countOf(offset), countOf(length)];
}
