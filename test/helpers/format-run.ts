import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { TreeNode } from "../../src/domain/artifact.ts";
import type { BackupId } from "../../src/domain/backup.ts";
import { ChunkReader } from "../../src/format/chunk-reader.ts";
import { artifactKey, makeDataKey } from "../../src/format/data-key.ts";
import { fetchIndex, readRoot, readStreamIndex, readTreeIndex, type TreeEntry } from "../../src/format/index-reader.ts";
import type { PackSource } from "../../src/format/pack-source.ts";
import type { ChunkRef, Root } from "../../src/format/root.ts";
import {
  type RunSettings,
  type SourceCache,
  type SourceSettings,
  sourceCache,
  type WrittenArtifacts,
} from "../../src/format/source-writer.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { backupId } from "../domain/builders.ts";
import { tempDir } from "./temp-dir.ts";

const SOURCE = "app";

/** One run of `format/` that stores into memory, and what it takes to read that back. */
export interface FormatRun {
  readonly run: RunSettings;
  readonly source: SourceSettings;
  /** What this backup stored, by object name: to look at, and to damage. */
  readonly objects: Map<string, Buffer>;
  /** This backup and its ancestors. */
  readonly packs: PackSource;
  readonly cache: SourceCache;
}

export interface FormatRunOptions {
  readonly parent?: FormatRun;
  readonly kind?: string;
  readonly encrypted?: boolean;
  readonly settings?: Partial<RunSettings>;
  /** Where roots and indexes are kept; a new one that goes with the test unless given. */
  readonly directory?: string;
}

export function openPool(size = 2): WorkerPool {
  const pool = new WorkerPool(size);
  onTestFinished(() => pool.close());
  return pool;
}

/** Backups are numbered along their lineage, from 1. */
export function formatRun(pool: WorkerPool, options: FormatRunOptions = {}): FormatRun {
  const { parent, kind = "tree", encrypted = true, settings } = options;
  const ancestors = parent?.run.lineage ?? [];
  const id = backupId(ancestors.length + 1);
  const directory = options.directory ?? tempDir();
  mkdirSync(join(directory, "tmp"));
  const objects = new Map<string, Buffer>();
  const dataKey = encrypted ? makeDataKey() : undefined;
  const cache = sourceCache(directory, SOURCE);
  return {
    objects,
    cache,
    run: {
      pool,
      backupId: id,
      compression: { algorithm: "zstd", level: 1 },
      keyOf: dataKey === undefined ? undefined : (artifact) => artifactKey(dataKey, Buffer.from(artifact), id),
      check: true,
      lineage: [...ancestors, { id, path: `full/daily/2026-01-0${ancestors.length + 1}/x` }],
      put: async (name, bytes) => void objects.set(name, Buffer.from(bytes)),
      temporaryDirectory: join(directory, "tmp"),
      ...settings,
    },
    source: { name: SOURCE, kind, parent: parent?.cache, cache, onBytes: () => undefined },
    packs: {
      async get(origin, name, offset, length) {
        if (origin !== id) return parent?.packs.get(origin, name, offset, length);
        const bytes = objects.get(name)?.subarray(offset, offset + length);
        return bytes === undefined ? undefined : Buffer.from(bytes);
      },
      dataKey: async (origin: BackupId) => (origin === id ? dataKey : parent?.packs.dataKey(origin)),
    },
  };
}

/** The root and index of what a run wrote, read from its packs. */
export async function openIndex(made: FormatRun, { root: artifact }: WrittenArtifacts, directory = tempDir()) {
  const { run, source, packs } = made;
  const described = { name: source.name, kind: source.kind, root: artifact };
  const { root } = await readRoot(run.backupId, described, run.keyOf !== undefined, packs, run.pool);
  const file = join(directory, "read.index");
  await fetchIndex(root, file, packs, run.pool);
  return { root, file };
}

/** The bytes of a stream as they come out of the packs. */
export async function readStream(made: FormatRun, artifacts: WrittenArtifacts, directory?: string) {
  const { root, file } = await openIndex(made, artifacts, directory);
  const index = readStreamIndex(file, made.source.kind);
  return { bytes: await readChunks(made, root, index.chunks), index, root };
}

export interface ReadEntry {
  readonly entry: TreeEntry;
  /** A file's content, its holes filled. */
  readonly bytes: Buffer;
}

/** The entries of a tree as they come out of the packs. */
export async function readTree(made: FormatRun, artifacts: WrittenArtifacts): Promise<readonly ReadEntry[]> {
  const { root, file } = await openIndex(made, artifacts);
  const entries = [...readTreeIndex(file)];
  const read: ReadEntry[] = [];
  for (const entry of entries) {
    read.push({ entry, bytes: withHoles(entry, await readChunks(made, root, entry.chunks)) });
  }
  return read;
}

async function readChunks(made: FormatRun, root: Root, chunks: readonly ChunkRef[]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const reader = new ChunkReader(made.packs, made.run.pool, root.objects);
  for await (const { bytes } of reader.read(chunks.map((chunk) => ({ chunk, what: undefined })))) parts.push(bytes);
  return Buffer.concat(parts);
}

function withHoles({ size, holes }: TreeEntry, data: Buffer): Buffer {
  const whole = Buffer.alloc(size);
  let at = 0;
  let taken = 0;
  for (const [offset, length] of [...holes, [size, 0] as const]) {
    taken += data.copy(whole, at, taken, taken + offset - at);
    at = offset + length;
  }
  return whole;
}

export async function* nodesOf(...nodes: readonly TreeNode[]): AsyncGenerator<readonly TreeNode[]> {
  yield nodes;
}
