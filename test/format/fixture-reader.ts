import * as fs from "node:fs";
import * as path from "node:path";
import type { BackupId, BackupMetadata, SourceMetadata } from "../../src/domain/backup.ts";
import { parseNumberedName } from "../../src/domain/object-names.ts";
import { ChunkReader } from "../../src/format/chunk-reader.ts";
import { metadataKey } from "../../src/format/data-key.ts";
import { fetchIndex } from "../../src/format/index-reader.ts";
import { openKeysObjects, type WrappingKey } from "../../src/format/keys-object.ts";
import { decodeMetadata, requirePlace, verifyMac } from "../../src/format/metadata.ts";
import type { PackSource } from "../../src/format/pack-source.ts";
import { readProvenRoot } from "../../src/format/proven-root.ts";
import { decodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import type { ChunkRef, Root } from "../../src/format/root.ts";
import type { WorkerPool } from "../../src/format/workers/pool.ts";

/** Reads backups in a folder with src/format alone, step by step as docs/format.md says. */
export interface FixtureBackup {
  readonly metadata: BackupMetadata;
  source(name: string, temporaryDirectory: string): Promise<FixtureSource>;
}

export interface FixtureSource {
  readonly metadata: SourceMetadata;
  readonly root: Root;
  readonly indexFile: string;
  /** The bytes of these chunks, joined. */
  bytes(chunks: readonly ChunkRef[]): Promise<Buffer>;
}

export async function openFixture(
  repository: string,
  directory: string,
  { keys, pool }: { readonly keys: readonly WrappingKey[]; readonly pool: WorkerPool },
): Promise<FixtureBackup> {
  const { metadata } = await openMetadata(repository, directory, keys);
  const placeOf = (origin: BackupId): string => {
    const member = metadata.lineage.find(({ id }) => id === origin);
    if (member === undefined) throw new Error(`${origin} is not of the lineage`);
    return member.path;
  };
  const packs: PackSource = {
    get: async (origin, name, offset, length) => {
      const file = path.join(repository, placeOf(origin), name);
      return fs.existsSync(file) ? fs.readFileSync(file).subarray(offset, offset + length) : undefined;
    },
    dataKey: async (origin) => (await openMetadata(repository, placeOf(origin), keys)).dataKey,
  };
  return {
    metadata,
    async source(name, temporaryDirectory) {
      const found = metadata.sources.find((source) => source.name === name);
      if (found?.root === undefined) throw new Error(`${name} is not in the backup`);
      const { root } = await readProvenRoot(metadata, { ...found, root: found.root }, packs, pool);
      const indexFile = path.join(temporaryDirectory, `${metadata.id}.${name}.index`);
      await fetchIndex(root, indexFile, packs, pool);
      const reader = new ChunkReader(packs, pool, root.objects);
      const bytes = async (chunks: readonly ChunkRef[]): Promise<Buffer> => {
        const pieces: Uint8Array[] = [];
        const wanted = chunks.map((chunk) => ({ chunk, what: undefined }));
        for await (const { bytes: piece } of reader.read(wanted)) pieces.push(Uint8Array.from(piece));
        return Buffer.concat(pieces);
      };
      return { metadata: found, root, indexFile, bytes };
    },
  };
}

async function openMetadata(
  repository: string,
  directory: string,
  keys: readonly WrappingKey[],
): Promise<{ readonly metadata: BackupMetadata; readonly dataKey: Buffer | undefined }> {
  const folder = path.join(repository, directory);
  const decoded = decodeMetadata(fs.readFileSync(path.join(folder, "metadata.json")), directory);
  const { metadata } = decoded;
  const names = fs.readdirSync(folder).filter((name) => parseNumberedName(name)?.family === "keys");
  const objects = names.map((name) => ({ name, bytes: fs.readFileSync(path.join(folder, name)) }));
  const wanted = metadata.key_id === null ? undefined : { backupId: metadata.id, keyId: metadata.key_id };
  const opened = wanted === undefined ? undefined : await openKeysObjects(objects, wanted, keys);
  const dataKey = opened?.dataKey;
  const proven = verifyMac(decoded, dataKey === undefined ? undefined : metadataKey(dataKey, metadata.id));
  if (!proven) throw new Error(`${directory}: its mac is wrong`);
  const marker = fs.readFileSync(path.join(repository, "backupctl.json"));
  const { repositoryId } = decodeRepositoryMarker(marker, repository);
  requirePlace(metadata, { storagePath: directory, repositoryId });
  return { metadata, dataKey };
}
