import { type BackupId, type CompressionAlgorithm, isBackupId, type LineageMember } from "../domain/backup.ts";
import { MAX_PACK_NUMBER, parseArtifactName } from "../domain/object-names.ts";
import { DamageError, MAX_BLOCK_RAW_BYTES, MAX_BLOCK_STORED_BYTES, MAX_PACK_BYTES } from "./block.ts";
import { COMPRESSION_CODES } from "./compression.ts";
import { requireReadableSize } from "./parse-json.ts";
import { CHUNKS_PER_LINE } from "./tree-line.ts";

/**
 * The root of an artifact: the lineage, the table of objects that numbers in index lines mean, and where the index's own
 * chunks are. docs/format.md, "Root". Both tables only grow from parent to child.
 */
export interface Root {
  readonly backupId: BackupId;
  readonly source: string;
  readonly kind: string;
  readonly lineage: readonly LineageMember[];
  readonly objects: readonly ObjectEntry[];
  /** Of the index, in order. */
  readonly chunks: readonly ChunkRef[];
  readonly indexSize: number;
  readonly indexSha256: string;
  /** Raw bytes of the artifact. */
  readonly size: number;
}

/** A stored artifact that chunks may lie in. */
export interface ObjectEntry {
  readonly n: number;
  /** The backup that wrote it: one of the lineage. */
  readonly origin: BackupId;
  /** Object name without pack number. */
  readonly name: string;
  /** 32 hex digits. */
  readonly artifact_id: string;
  readonly compression: CompressionAlgorithm;
  readonly cipher: 0 | 1;
}

export interface ChunkRef {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly length: number;
  readonly object: number;
  readonly pack: number;
  readonly blockOffset: number;
  readonly blockStored: number;
  readonly offsetInBlock: number;
}

export interface RootParts extends Omit<Root, "chunks"> {
  /** Tuples as JSON text. */
  readonly chunks: readonly string[];
}

/** It is in memory as a whole. With it an index may have 16 GB. */
export const MAX_ROOT_BYTES = 256 * 2 ** 20;

/** @throws `BACKUP_FAILED` where it is larger than one that can be read again */
export function encodeRoot(root: RootParts): Buffer {
  const { backupId, source, kind, lineage, objects, chunks } = root;
  const lines = [JSON.stringify({ version: 1, backup_id: backupId, source, kind, lineage, objects })];
  for (let at = 0; at < chunks.length; at += CHUNKS_PER_LINE) {
    lines.push(`{"chunks":[${chunks.slice(at, at + CHUNKS_PER_LINE).join(",")}]}`);
  }
  const { indexSize, indexSha256, size } = root;
  lines.push(
    JSON.stringify({ end: true, chunks: chunks.length, index_size: indexSize, index_sha256: indexSha256, size }),
  );
  const pieces = lines.map((line) => Buffer.from(`${line}\n`, "utf8"));
  return requireReadableSize(Buffer.concat(pieces), `the root of source "${source}"`, {
    most: MAX_ROOT_BYTES,
    hint: "Make several sources of it, each with a part of the paths.",
  });
}

/** @throws DamageError for anything that `encodeRoot` does not write. */
export function parseRoot(bytes: Buffer): Root {
  const lines = bytes.toString("utf8").split("\n");
  if (lines.pop() !== "" || lines.length < 2) throw new DamageError("the root is cut");
  const first = parseObject(lines[0] ?? "");
  const last = parseObject(lines.at(-1) ?? "");
  if (first.version !== 1) throw new DamageError("the root is not of version 1");
  if (last.end !== true) throw new DamageError("the root is cut: its last line is missing");
  const chunks = lines.slice(1, -1).flatMap((line) => chunksOf(parseObject(line)));
  if (chunks.length !== last.chunks) throw new DamageError("the root does not list as many chunks as it says");
  const objects = arrayOf(first.objects).map(parseObjectEntry);
  if (objects.some((object, i) => object.n !== i)) throw new DamageError("the root's objects are out of order");
  return {
    backupId: backupIdOf(first.backup_id),
    source: textOf(first.source),
    kind: textOf(first.kind),
    lineage: arrayOf(first.lineage).map(parseMember),
    objects,
    chunks,
    indexSize: countOf(last.index_size),
    indexSha256: hexOf(last.index_sha256, 64),
    size: countOf(last.size),
  };
}

/** The chunk references of a parsed line, checked. */
export function chunksOf(line: Readonly<Record<string, unknown>>): ChunkRef[] {
  if (line.chunks === undefined) return [];
  const tuples = arrayOf(line.chunks);
  if (tuples.length > CHUNKS_PER_LINE) throw new DamageError(`a line has more than ${CHUNKS_PER_LINE} chunks`);
  return tuples.map(parseChunkRef);
}

function parseChunkRef(value: unknown): ChunkRef {
  const tuple = arrayOf(value);
  if (tuple.length !== 7) throw new DamageError("a chunk has not seven members");
  const [sha256, length, object, pack, blockOffset, blockStored, offsetInBlock] = tuple;
  return {
    sha256: hexOf(sha256, 64),
    length: countOf(length, MAX_BLOCK_RAW_BYTES),
    object: countOf(object),
    pack: countOf(pack, MAX_PACK_NUMBER),
    blockOffset: countOf(blockOffset, MAX_PACK_BYTES),
    blockStored: countOf(blockStored, MAX_BLOCK_STORED_BYTES),
    offsetInBlock: countOf(offsetInBlock, MAX_BLOCK_RAW_BYTES),
  };
}

function parseObjectEntry(value: unknown): ObjectEntry {
  const { n, origin, name, artifact_id, compression, cipher } = recordOf(value);
  const algorithm = textOf(compression);
  if (algorithm !== "none" && algorithm !== "gzip" && algorithm !== "zstd") {
    throw new DamageError(`unknown compression ${algorithm}; known are ${Object.keys(COMPRESSION_CODES).join(", ")}`);
  }
  if (cipher !== 0 && cipher !== 1) throw new DamageError("unknown cipher in the root");
  return {
    n: countOf(n),
    origin: backupIdOf(origin),
    name: artifactNameOf(name),
    artifact_id: hexOf(artifact_id, 32),
    compression: algorithm,
    cipher,
  };
}

function parseMember(value: unknown): LineageMember {
  const { id, path, checksum } = recordOf(value);
  const member = { id: backupIdOf(id), path: textOf(path) };
  return checksum === undefined ? member : { ...member, checksum: textOf(checksum) };
}

/** A line of an index or root as an object. @throws DamageError */
export function parseObject(line: string): Readonly<Record<string, unknown>> {
  try {
    return recordOf(JSON.parse(line));
  } catch (error) {
    throw error instanceof DamageError ? error : new DamageError("a line is not JSON", { cause: error });
  }
}

export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new DamageError("an object was expected");
  return value as Readonly<Record<string, unknown>>;
}

export function arrayOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new DamageError("a list was expected");
  return value;
}

export function countOf(value: unknown, most: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > most)
    throw new DamageError(`a count up to ${most} was expected`);
  return value;
}

export function textOf(value: unknown): string {
  if (typeof value !== "string") throw new DamageError("a text was expected");
  return value;
}

function hexOf(value: unknown, digits: number): string {
  const text = textOf(value);
  if (text.length !== digits || !/^[0-9a-f]+$/.test(text)) throw new DamageError(`${digits} hex digits were expected`);
  return text;
}

/** A part of a path: nothing else may lead to a file. */
function artifactNameOf(value: unknown): string {
  const text = textOf(value);
  if (parseArtifactName(text) === undefined) throw new DamageError("an artifact's name was expected");
  return text;
}

function backupIdOf(value: unknown): BackupId {
  const text = textOf(value);
  if (!isBackupId(text)) throw new DamageError("a backup id was expected");
  return text;
}
