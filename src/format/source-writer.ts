import { createReadStream, readFileSync } from "node:fs";
import * as path from "node:path";
import type { StreamEntry, TreeNode } from "../domain/artifact.ts";
import type { BackupId, LineageMember, StoredArtifact } from "../domain/backup.ts";
import { artifactName, packName } from "../domain/object-names.ts";
import { writeFileAtomically } from "../platform/files.ts";
import { ArtifactWriter } from "./artifact-writer.ts";
import { runLoops } from "./bounded-queue.ts";
import { ChunkTable } from "./chunk-table.ts";
import type { Compression } from "./compression.ts";
import { makeArtifactId } from "./data-key.ts";
import { IndexLines } from "./index-lines.ts";
import { LineWriter } from "./line-writer.ts";
import { type ObjectMemory, PackAssembler } from "./pack-assembler.ts";
import { loadChunks, ParentEntries, readingParent } from "./parent-index.ts";
import { encodeRoot, type ObjectEntry, parseRoot } from "./root.ts";
import { writeStream } from "./stream-writer.ts";
import { CHUNKS_PER_LINE } from "./tree-line.ts";
import { type TreeTotals, writeTree } from "./tree-writer.ts";
import { sha256 } from "./workers/hashing.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** What is the same for all sources of a run. */
export interface RunSettings {
  readonly pool: WorkerPool;
  readonly backupId: BackupId;
  readonly compression: Compression;
  /** The key of an artifact of this backup; `undefined`: not encrypted. Artifact ids are 16 bytes. */
  readonly keyOf: ((artifactId: Uint8Array) => Uint8Array) | undefined;
  /** Open every block again before its pack is stored. */
  readonly check: boolean;
  /** From the full backup to this one; the last member has no checksum yet. */
  readonly lineage: readonly LineageMember[];
  /** Stores an object, of whose bytes this is the SHA-256 in hex, in this backup's directory. */
  readonly put: (name: string, bytes: Uint8Array, sha256: string, memory: ObjectMemory) => Promise<void>;
  /** See `PackAssemblerOptions`. */
  readonly packsHeld?: number;
  readonly temporaryDirectory: string;
}

export interface SourceSettings {
  readonly name: string;
  readonly kind: string;
  /** The parent's root and index of this source, as this host keeps them. */
  readonly parent: SourceCache | undefined;
  /** Where this backup's are written; existing files are an error. */
  readonly cache: SourceCache;
  readonly onBytes: (count: number) => void;
}

export interface SourceCache {
  readonly rootFile: string;
  readonly indexFile: string;
}

export interface WrittenArtifacts {
  readonly data: StoredArtifact;
  readonly index: StoredArtifact;
  readonly root: StoredArtifact;
  /** Raw bytes of the artifact, and of its chunks that were new. */
  readonly size: number;
  readonly newSize: number;
  readonly storedSize: number;
  readonly indexSha256: string;
  readonly rootSha256: string;
  /** True if the index says what the parent's says, but for marks that mean nothing but the time of the run. */
  readonly sameAsParent: boolean;
}

export interface TreeCallbacks {
  readonly onEntry: (node: TreeNode) => void;
  readonly onUnreadable: (name: Buffer, errno: string) => void;
  readonly onChanged: (name: Buffer) => void;
}

export async function writeTreeSource(
  nodes: AsyncIterable<readonly TreeNode[]>,
  run: RunSettings,
  source: SourceSettings,
  callbacks: TreeCallbacks,
): Promise<{ readonly artifacts: WrittenArtifacts; readonly totals: TreeTotals }> {
  let totals: TreeTotals | undefined;
  const artifacts = await writeArtifacts(run, source, async ({ writer, table, index }) => {
    const parent = source.parent === undefined ? undefined : new ParentEntries(source.parent.indexFile);
    let gone = 0;
    try {
      totals = await writeTree(nodes, {
        pool: run.pool,
        writer,
        table,
        index,
        parent,
        onBytes: source.onBytes,
        ...callbacks,
      });
      gone = parent?.countUnmatched() ?? 0;
    } finally {
      parent?.close();
    }
    const { unchanged: _, changed, ...counts } = totals;
    index.write(`${JSON.stringify({ end: true, ...counts })}\n`);
    return { size: totals.bytes, sameAsParent: changed === 0 && gone === 0 };
  });
  if (totals === undefined) throw new Error("a tree was written without totals");
  return { artifacts, totals };
}

export interface StreamFacts {
  readonly entries: readonly StreamEntry[];
  readonly inventory?: Readonly<Record<string, unknown>>;
}

/** `finish` is called after the last byte, and throws if the dump is not whole: then nothing of the source counts. */
export async function writeStreamSource<Facts extends StreamFacts>(
  dump: { readonly bytes: AsyncIterable<Uint8Array>; finish(): Promise<Facts> },
  run: RunSettings,
  source: SourceSettings,
): Promise<{ readonly artifacts: WrittenArtifacts; readonly facts: Facts }> {
  let facts: Facts | undefined;
  const artifacts = await writeArtifacts(run, source, async ({ writer, table, index }) => {
    const lines = new IndexLines(writer, index);
    let chunks = 0;
    let size = 0;
    const produce = async (): Promise<void> => {
      size = await writeStream(dump.bytes, {
        pool: run.pool,
        writer,
        table,
        chunks: "data",
        onBytes: source.onBytes,
        onChunks: async (records) => {
          chunks += records.length;
          for (let at = 0; at < records.length; at += CHUNKS_PER_LINE) {
            const part = records.slice(at, at + CHUNKS_PER_LINE);
            await lines.add(() => [`{"chunks":[${part.map((record) => table.tuple(record)).join(",")}]}\n`]);
          }
        },
      });
      lines.end();
    };
    await runLoops([produce(), lines.run()], [lines]);
    facts = await dump.finish();
    for (const entry of facts.entries) index.write(`${JSON.stringify(entry)}\n`);
    if (facts.inventory !== undefined) index.write(`${JSON.stringify({ inventory: facts.inventory })}\n`);
    index.write(`${JSON.stringify({ end: true, entries: facts.entries.length, chunks, bytes: size })}\n`);
    return { size };
  });
  if (facts === undefined) throw new Error("a stream was written without its facts");
  return { artifacts, facts };
}

interface DataStage {
  readonly writer: ArtifactWriter;
  readonly table: ChunkTable;
  readonly index: LineWriter;
}

/** Whoever meets the failure removes what the source has put: nothing may be put behind them, although packs are still on their way. */
async function writeArtifacts(
  run: RunSettings,
  source: SourceSettings,
  writeData: Parameters<typeof writeAll>[2],
): Promise<WrittenArtifacts> {
  let failed = false;
  const put: RunSettings["put"] = async (...object) => {
    if (failed) throw new Error(`the writing of source "${source.name}" failed before`);
    await run.put(...object);
  };
  try {
    return await writeAll({ ...run, put }, source, writeData);
  } catch (error) {
    failed = true;
    throw error;
  }
}

/** Data, then the index of it, then the root of that. `writeData` gives the artifact's raw size, and what it knows of the parent. */
async function writeAll(
  run: RunSettings,
  source: SourceSettings,
  writeData: (stage: DataStage) => Promise<{ readonly size: number; readonly sameAsParent?: boolean }>,
): Promise<WrittenArtifacts> {
  const { parent } = source;
  const parentRoot = parent === undefined ? undefined : readingParent(() => parseRoot(readFileSync(parent.rootFile)));
  const objects: ObjectEntry[] = [...(parentRoot?.objects ?? [])];

  const data = openArtifact(run, source, "data", objects.length, source.parent?.indexFile);
  const indexFile = new LineWriter(source.cache.indexFile);
  let written: Awaited<ReturnType<typeof writeData>>;
  let dataStored: StoredArtifact;
  let index: ReturnType<LineWriter["close"]>;
  try {
    written = await writeData({ writer: data.writer, table: data.table, index: indexFile });
    dataStored = await data.finish();
  } finally {
    data.table.close();
    index = indexFile.close();
  }
  if (dataStored.packs.length > 0) objects.push(data.entry);

  const indexArtifact = openArtifact(run, source, "index", objects.length, source.parent?.rootFile);
  const tuples: string[] = [];
  const pending: number[] = [];
  await writeStream(createReadStream(source.cache.indexFile, { highWaterMark: 1024 * 1024 }), {
    pool: run.pool,
    writer: indexArtifact.writer,
    table: indexArtifact.table,
    chunks: "index",
    onChunks: (records) => void pending.push(...records),
  });
  const indexStored = await indexArtifact.finish();
  for (const record of pending) tuples.push(indexArtifact.table.tuple(record));
  indexArtifact.table.close();
  if (indexStored.packs.length > 0) objects.push(indexArtifact.entry);

  const root = encodeRoot({
    backupId: run.backupId,
    source: source.name,
    kind: source.kind,
    lineage: run.lineage,
    objects,
    chunks: tuples,
    indexSize: index.size,
    indexSha256: index.sha256,
    size: written.size,
  });
  const rootStored = await writeRoot(root, run, source);
  await writeFileAtomically(source.cache.rootFile, root);
  return {
    data: dataStored,
    index: indexStored,
    root: rootStored,
    size: written.size,
    newSize: data.writer.newRawBytes,
    storedSize: [dataStored, indexStored, rootStored].reduce(
      (sum, { packs }) => sum + packs.reduce((a, b) => a + b, 0),
      0,
    ),
    indexSha256: index.sha256,
    rootSha256: sha256(root).toString("hex"),
    sameAsParent: parentRoot !== undefined && (written.sameAsParent ?? parentRoot.indexSha256 === index.sha256),
  };
}

interface OpenArtifact {
  readonly writer: ArtifactWriter;
  readonly table: ChunkTable;
  readonly entry: ObjectEntry;
  finish(): Promise<StoredArtifact>;
}

function openArtifact(
  run: RunSettings,
  source: SourceSettings,
  part: "data" | "index",
  object: number,
  knownChunksFile: string | undefined,
): OpenArtifact {
  const { name, artifactId, assembly } = artifactOf(run, source, part);
  const table = new ChunkTable(run.temporaryDirectory, (empty) => {
    if (knownChunksFile !== undefined) loadChunks(knownChunksFile, empty);
  });
  const writer = new ArtifactWriter({ ...assembly, object, table });
  const entry: ObjectEntry = {
    n: object,
    origin: run.backupId,
    name,
    artifact_id: artifactId.toString("hex"),
    compression: run.compression.algorithm,
    cipher: run.keyOf === undefined ? 0 : 1,
  };
  return {
    writer,
    table,
    entry,
    finish: async () => ({ artifact_id: entry.artifact_id, name, packs: await writer.finish() }),
  };
}

function artifactOf(run: RunSettings, source: SourceSettings, part: "data" | "index" | "root") {
  const artifactId = makeArtifactId();
  const name = artifactName({
    source: source.name,
    kind: source.kind,
    part,
    compression: run.compression.algorithm,
    encrypted: run.keyOf !== undefined,
  });
  const assembly = {
    pool: run.pool,
    compression: run.compression,
    artifactId,
    backupId: Buffer.from(run.backupId.replaceAll("-", ""), "hex"),
    key: run.keyOf?.(artifactId),
    check: run.check,
    put: (packNumber: number, ...object: [bytes: Uint8Array, sha256: string, memory: ObjectMemory]) =>
      run.put(packName(name, packNumber), ...object),
    ...(run.packsHeld === undefined ? {} : { packsHeld: run.packsHeld }),
  };
  return { name, artifactId, assembly };
}

const ROOT_BLOCK_BYTES = 1024 * 1024;

/** The root is small and always whole: blocks of it in a row, nothing referenced. */
async function writeRoot(root: Buffer, run: RunSettings, source: SourceSettings): Promise<StoredArtifact> {
  const { name, artifactId, assembly } = artifactOf(run, source, "root");
  const assembler = new PackAssembler(assembly);
  for (let at = 0; at < root.length; at += ROOT_BLOCK_BYTES) {
    const piece = root.subarray(at, at + ROOT_BLOCK_BYTES);
    const buffer = new SharedArrayBuffer(piece.length);
    new Uint8Array(buffer).set(piece);
    const range = { buffer, offset: 0, length: piece.length };
    const block = await run.pool.run({ kind: "compress", ranges: [range], compression: run.compression });
    await assembler.place(block, { lengths: Uint32Array.of(piece.length), hashes: sha256(piece) });
  }
  return { artifact_id: artifactId.toString("hex"), name, packs: await assembler.finish() };
}

/** Where a source's root and index lie in a backup's cache directory. */
export function sourceCache(directory: string, sourceName: string): SourceCache {
  return {
    rootFile: path.join(directory, `${sourceName}.root`),
    indexFile: path.join(directory, `${sourceName}.index`),
  };
}
