import { createHash, randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import {
  type BackupId,
  type BackupMetadata,
  isBackupId,
  type LineageMember,
  type Mode,
  type SourceMetadata,
} from "../../src/domain/backup.ts";
import { backupDirectory, parsePackName } from "../../src/domain/object-names.ts";
import { openEngine } from "../../src/engines/files/engine.ts";
import { options as filesOptions } from "../../src/engines/files/options.ts";
import type { Compression } from "../../src/format/compression.ts";
import { artifactKey, makeDataKey, metadataKey } from "../../src/format/data-key.ts";
import { buildKeysObject, type WrappingKey } from "../../src/format/keys-object.ts";
import { encodeMetadata } from "../../src/format/metadata.ts";
import type { PackSource } from "../../src/format/pack-source.ts";
import { encodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import { encodeSha256Sums } from "../../src/format/sha256sums.ts";
import {
  type RunSettings,
  type SourceSettings,
  type StreamFacts,
  sourceCache,
  type WrittenArtifacts,
  writeStreamSource,
  writeTreeSource,
} from "../../src/format/source-writer.ts";
import type { WorkerPool } from "../../src/format/workers/pool.ts";

/** Makes real backups with src/format alone, without operations, configuration or catalog: packs, roots, keys, metadata. */

export interface RepositoryOptions {
  readonly pool: WorkerPool;
  readonly keys: readonly WrappingKey[];
  readonly encrypt: boolean;
  readonly compression: Compression;
  /** The first backup's time; each later one is made an hour after. */
  readonly startAt?: string;
}

export type SourceInput =
  | { readonly name: string; readonly folder: string }
  | {
      readonly name: string;
      readonly kind: string;
      readonly bytes: AsyncIterable<Uint8Array>;
      readonly facts?: StreamFacts;
    };

export interface MadeBackup {
  readonly metadata: BackupMetadata;
  readonly dataKey: Buffer | undefined;
  readonly lineage: readonly LineageMember[];
  readonly cacheDirectory: string;
  readonly artifacts: ReadonlyMap<string, WrittenArtifacts>;
}

export class TestRepository {
  /** What an operator would copy from the storage. */
  readonly directory: string;
  readonly #options: RepositoryOptions;
  readonly #state: string;
  readonly #id = randomUUID();
  readonly #made = new Map<BackupId, MadeBackup>();

  constructor(directory: string, stateDirectory: string, options: RepositoryOptions) {
    this.directory = directory;
    this.#state = stateDirectory;
    this.#options = options;
    fs.mkdirSync(directory, { recursive: true });
    const marker = { repositoryId: this.#id, created: "2026-01-01T00:00:00.000Z" };
    fs.writeFileSync(path.join(directory, "backupctl.json"), encodeRepositoryMarker(marker));
  }

  /** `parent`: an incremental, or a differential if that is said. */
  async backUp(sources: readonly SourceInput[], parent?: MadeBackup, mode?: Mode): Promise<MadeBackup> {
    const { encrypt, keys } = this.#options;
    const id = newBackupId();
    const start = Date.parse(this.#options.startAt ?? "2026-01-11T02:00:00.000Z");
    const timestamp = new Date(start + this.#made.size * 3_600_000).toISOString();
    const description = { id, mode: mode ?? (parent === undefined ? "full" : "incremental"), timestamp } as const;
    const where = backupDirectory({
      ...description,
      type: "full",
      category: parent === undefined ? "daily" : "incremental",
    });
    const lineage = [...(parent === undefined ? [] : this.#ancestors(parent)), { id, path: where }];
    const dataKey = encrypt ? makeDataKey() : undefined;
    const cacheDirectory = path.join(this.#state, id);
    fs.mkdirSync(cacheDirectory, { recursive: true });
    const written = new Map<string, Uint8Array>();
    const put = async (name: string, bytes: Uint8Array): Promise<void> => {
      const file = path.join(this.directory, where, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, bytes, { flag: "wx" });
      written.set(name, Uint8Array.from(bytes));
    };
    const { pool, compression } = this.#options;
    const keyOf = dataKey && ((artifactId: Uint8Array) => artifactKey(dataKey, Buffer.from(artifactId), id));
    const run: RunSettings = {
      pool,
      backupId: id,
      compression,
      keyOf,
      check: true,
      lineage,
      put,
      temporaryDirectory: cacheDirectory,
    };
    const artifacts = new Map<string, WrittenArtifacts>();
    const described: SourceMetadata[] = [];
    for (const source of sources) {
      const made = await writeSource(source, run, sourceSettings(source, cacheDirectory, parent));
      artifacts.set(source.name, made);
      described.push(describeSource(source, made));
    }
    const sums = sumsOf(written);
    await put("SHA256SUMS", sums);
    const sealed = dataKey && (await buildKeysObject({ n: 1, backupId: id, dataKey, providers: keys }));
    if (sealed !== undefined) await put(sealed.name, sealed.bytes);
    const metadata = describeBackup({
      ...description,
      repositoryId: this.#id,
      storagePath: where,
      checksum: `sha256:${sha256Hex(sums)}`,
      keyId: sealed?.keyId ?? null,
      lineage,
      sources: described,
      compression,
      objects: [...written.values()],
    });
    await put("metadata.json", encodeMetadata(metadata, dataKey && metadataKey(dataKey, id)));
    const backup = { metadata, dataKey, lineage, cacheDirectory, artifacts };
    this.#made.set(id, backup);
    return backup;
  }

  /** Reads packs of every backup made here, as restore would. */
  packs(): PackSource {
    const pathOf = (origin: BackupId): string => this.#made.get(origin)?.metadata.storage_path ?? "unknown";
    return {
      get: async (origin, name, offset, length) =>
        readRange(path.join(this.directory, pathOf(origin), name), offset, length),
      dataKey: async (origin) => this.#made.get(origin)?.dataKey,
    };
  }

  #ancestors(parent: MadeBackup): LineageMember[] {
    return parent.lineage.map(({ id, path: where }) => {
      const checksum = this.#made.get(id)?.metadata.checksum;
      return checksum === undefined ? { id, path: where } : { id, path: where, checksum };
    });
  }
}

async function writeSource(source: SourceInput, run: RunSettings, settings: SourceSettings): Promise<WrittenArtifacts> {
  if ("folder" in source) {
    const engine = openEngine(filesOptions.parse({ paths: [source.folder] }), {});
    const dump = await engine.dump({
      sourceName: source.name,
      signal: new AbortController().signal,
      warn: () => undefined,
      activity: () => undefined,
      temporaryDirectory: run.temporaryDirectory,
    });
    if (dump.shape !== "tree") throw new Error("a files engine dumps a tree");
    const callbacks = { onEntry: () => undefined, onUnreadable: () => undefined, onChanged: () => undefined };
    return (await writeTreeSource(dump.nodes, run, settings, callbacks)).artifacts;
  }
  const facts = source.facts ?? { entries: [] };
  const { artifacts } = await writeStreamSource({ bytes: source.bytes, finish: async () => facts }, run, settings);
  return artifacts;
}

function sourceSettings(source: SourceInput, cache: string, parent: MadeBackup | undefined): SourceSettings {
  const known = parent?.artifacts.has(source.name) ? sourceCache(parent.cacheDirectory, source.name) : undefined;
  const kind = "folder" in source ? "tree" : source.kind;
  return { name: source.name, kind, parent: known, cache: sourceCache(cache, source.name), onBytes: () => undefined };
}

function describeSource(source: SourceInput, made: WrittenArtifacts): SourceMetadata {
  return {
    name: source.name,
    engine: "folder" in source ? "files" : "command",
    kind: "folder" in source ? "tree" : source.kind,
    component: "folder" in source ? "files" : "database",
    status: "completed",
    size: made.size,
    new_size: made.newSize,
    stored_size: made.storedSize,
    counts: {},
    versions: {},
    duration_seconds: 1,
    unreadable: 0,
    warnings: [],
    data: made.data,
    index: made.index,
    root: made.root,
  };
}

function describeBackup(facts: {
  readonly id: BackupId;
  readonly mode: Mode;
  readonly timestamp: string;
  readonly repositoryId: string;
  readonly storagePath: string;
  readonly checksum: string;
  readonly keyId: string | null;
  readonly lineage: readonly LineageMember[];
  readonly sources: readonly SourceMetadata[];
  readonly compression: Compression;
  readonly objects: readonly Uint8Array[];
}): BackupMetadata {
  const { sources, compression, keyId, mode } = facts;
  const bytes = facts.objects.reduce((sum, { length }) => sum + length, 0);
  const compressed = compression.algorithm !== "none";
  return {
    version: 1,
    id: facts.id,
    repository_id: facts.repositoryId,
    type: "full",
    mode,
    category: mode === "full" ? "daily" : "incremental",
    timestamp: facts.timestamp,
    completed_at: facts.timestamp,
    duration_seconds: 1.5,
    size: sources.reduce((sum, { size }) => sum + size, 0),
    compressed_size: sources.reduce((sum, { stored_size }) => sum + stored_size, 0),
    stored_size: bytes,
    encrypted: keyId !== null,
    encryption_algorithm: keyId === null ? null : "AES-256-GCM",
    key_id: keyId,
    compressed,
    compression: compressed ? { algorithm: compression.algorithm, level: compression.level } : null,
    checksum: facts.checksum,
    parent_id: facts.lineage.at(-2)?.id ?? null,
    previous_id: facts.lineage.at(-2)?.id ?? null,
    lineage: facts.lineage,
    storage_path: facts.storagePath,
    status: "completed",
    created_by: "tester",
    host: "web1",
    software_version: "0.1.0",
    tags: ["größe"],
    description: "made by a test",
    retention_until: null,
    components: {},
    sources,
    objects: { count: facts.objects.length, bytes },
    verified: "blocks",
    warnings: [],
  };
}

function sumsOf(written: ReadonlyMap<string, Uint8Array>): Buffer {
  const packs = [...written].filter(([name]) => parsePackName(name) !== undefined);
  return encodeSha256Sums(new Map(packs.map(([name, bytes]) => [name, sha256Hex(bytes)])));
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function newBackupId(): BackupId {
  const id = randomUUID();
  if (!isBackupId(id)) throw new Error("not a backup id");
  return id;
}

export function readRange(file: string, offset: number, length: number): Buffer | undefined {
  if (!fs.existsSync(file)) return undefined;
  return fs.readFileSync(file).subarray(offset, offset + length);
}

export async function* piecesOf(...pieces: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield typeof piece === "string" ? Buffer.from(piece) : Uint8Array.from(piece);
}

/** Bytes that look random and are the same in every run: SHA-256 of a seed and a counter. */
export function noise(seed: string, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.ceil(length / 32) * 32);
  for (let i = 0; i * 32 < length; i++)
    createHash("sha256")
      .update(`${seed} ${i}`)
      .digest()
      .copy(bytes, i * 32);
  return bytes.subarray(0, length);
}

/** A key provider that needs no configuration: `secret` is the local key itself. */
export function localKey(secret: Buffer, name = "main"): WrappingKey {
  return { provider: "local", name, seal: async () => ({ secret, parameters: {} }), open: async () => secret };
}
