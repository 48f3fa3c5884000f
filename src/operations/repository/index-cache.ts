import * as path from "node:path";
import type { Catalog } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import { isGood, newestFirst } from "../../domain/known-backup.ts";
import { messageOf } from "../../errors.ts";
import { fetchIndex } from "../../format/index-reader.ts";
import type { PackSource } from "../../format/pack-source.ts";
import { readProvenRoot } from "../../format/proven-root.ts";
import { type SourceCache, sourceCache } from "../../format/source-writer.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { WorkerPool } from "../../format/workers/pool.ts";
import { listDirectory, makePrivateDirectory, writeFileAtomically } from "../../platform/files.ts";
import { hashFile } from "../../platform/hash-file.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import { openPackSource } from "./pack-fetching.ts";
import type { Repository } from "./repository.ts";

/** This host's copies of roots and indexes: what an incremental is compared with. Used only if they are what was recorded. */
export function indexDirectory(repository: Repository, id: BackupId): string {
  return path.join(repository.state.indexes, id);
}

/**
 * The parent's root and index of one source: from this host's cache, or else from one of the storages `copies`. `undefined` if neither can be had;
 * the reason goes to `warn`.
 */
export async function parentCache(
  repository: Repository,
  catalog: Catalog,
  pool: WorkerPool,
  parent: BackupMetadata,
  sourceName: string,
  copies: readonly string[],
  warn: (message: string) => void,
): Promise<SourceCache | undefined> {
  const cache = sourceCache(indexDirectory(repository, parent.id), sourceName);
  const recorded = catalog.indexCache(parent.id, sourceName);
  if (recorded !== undefined) {
    const [root, index] = await Promise.all([hashFile(cache.rootFile), hashFile(cache.indexFile)]);
    if (root === recorded.rootSha256 && index === recorded.indexSha256) return cache;
  }
  try {
    return await fetchCache(
      repository,
      catalog,
      pool,
      parent,
      sourceName,
      openPackSource(repository, copies, parent, { warn }),
    );
  } catch (error) {
    warn(
      `the index of source "${sourceName}" in backup ${parent.id} can't be read, so all of it is stored anew: ${messageOf(error)}`,
    );
    return undefined;
  }
}

async function fetchCache(
  repository: Repository,
  catalog: Catalog,
  pool: WorkerPool,
  parent: BackupMetadata,
  sourceName: string,
  packs: PackSource,
): Promise<SourceCache | undefined> {
  const source = parent.sources.find(({ name }) => name === sourceName);
  if (source?.root === undefined) return undefined;
  const { root, bytes } = await readProvenRoot(parent, { ...source, root: source.root }, packs, pool);
  const directory = indexDirectory(repository, parent.id);
  await makePrivateDirectory(directory);
  const cache = sourceCache(directory, sourceName);
  await removeTree(cache.indexFile);
  await fetchIndex(root, cache.indexFile, packs, pool);
  await writeFileAtomically(cache.rootFile, bytes);
  catalog.setIndexCache({
    backupId: parent.id,
    source: sourceName,
    rootSha256: sha256Hex(bytes),
    indexSha256: root.indexSha256,
  });
  return cache;
}

/** Keeps the indexes that a next backup may build on: of each type the newest backup and the newest full one. */
export async function pruneIndexes(repository: Repository, catalog: Catalog): Promise<void> {
  const newest = new Map<string, BackupId>();
  for (const backup of [...catalog.list({}).backups].filter(isGood).sort(newestFirst)) {
    for (const role of backup.mode === "full" ? [backup.type, `${backup.type} full`] : [backup.type]) {
      if (!newest.has(role)) newest.set(role, backup.id);
    }
  }
  const kept = new Set<string>(newest.values());
  for (const name of await listDirectory(repository.state.indexes)) {
    if (!kept.has(name)) await removeTree(path.join(repository.state.indexes, name));
  }
}
