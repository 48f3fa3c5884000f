import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import { DELETED_NAME, METADATA_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { decodeMetadata } from "../../format/metadata.ts";
import { MAX_METADATA_BYTES } from "../../format/parse-json.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import type { Storage, StoredObject } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import { putDeletionMark } from "../repository/deletion-mark.ts";
import { indexDirectory } from "../repository/index-cache.ts";
import { readObject } from "../repository/read-object.ts";
import { listBackupDirectories, type Repository, readBackup } from "../repository/repository.ts";
import type { Session } from "../session.ts";

const PARALLEL_REMOVES = 8;

interface Removal {
  readonly session: Session;
  readonly repository: Repository;
  readonly catalog: Catalog;
  /** Children before their ancestors. */
  readonly deletions: readonly CatalogBackup[];
  /** For the log. */
  readonly detail: Readonly<Record<string, unknown>>;
  readonly holdsAreLifted: boolean;
}

/** A backup's directory in one storage that has anything in it. */
interface Place {
  readonly backup: CatalogBackup;
  readonly storage: Storage;
  readonly objects: readonly StoredObject[];
}

/**
 * Order of effects: catalog `deleting` → `deleted.json` → copies, metadata of others and notes listed again: a child or hold that came
 * meanwhile keeps all → metadata.json away, children first → objects → `deleted.json` last → row gone, event kept. Killed anywhere, the
 * same delete goes on. Gives the bytes that went.
 */
export async function removeBackups(removal: Removal): Promise<number> {
  const { session, repository, catalog, deletions } = removal;
  // Before anything is changed: a copy in a storage that is away would come back from the dead.
  const storages = await openEvery(session, repository);
  const found = await findPlaces(storages, deletions);
  for (const { id } of deletions) catalog.setStatus(id, "deleting");
  await markAll(session, found);
  // A copy may have come to another storage meanwhile: who makes one looks for the marks when it is whole.
  const places = await findPlaces(storages, deletions);
  await markAll(
    session,
    places.filter((place) => !found.some((one) => one.backup === place.backup && one.storage === place.storage)),
  );
  const stillThere = new Set(places.filter(hasMetadata).map(({ backup }) => backup.id));
  const reason = await reasonToKeep(removal, storages, places, stillThere);
  if (reason !== undefined) {
    await withdraw(removal, places, stillThere);
    throw reason;
  }
  let bytesFreed = 0;
  for (const backup of deletions) {
    session.signal.throwIfAborted();
    const own = places.filter((place) => place.backup.id === backup.id);
    for (const { storage } of own) await storage.remove(`${backup.storagePath}/${METADATA_NAME}`);
    for (const place of own) bytesFreed += await removeObjects(place);
    for (const { storage } of own) await storage.remove(`${backup.storagePath}/${DELETED_NAME}`);
    await removeTree(indexDirectory(repository, backup.id));
    record(removal, backup);
  }
  return bytesFreed;
}

async function openEvery(session: Session, repository: Repository): Promise<readonly Storage[]> {
  const storages: Storage[] = [];
  for (const { name } of session.loaded.config.storages) {
    try {
      storages.push(await repository.storage(name));
    } catch (error) {
      // A place that was never initialised holds no copy; one that lost its marker does.
      if (!isBackupctlError(error)) throw error;
      if (error.code === "REPOSITORY_NOT_INITIALIZED" && error.data?.holds_backups !== true) continue;
      throw new BackupctlError(error.code, `nothing is deleted without storage "${name}": ${error.message}`, {
        hint: "A copy there would come back later. Bring the storage back, then delete again.",
        cause: error,
        retryable: error.retryable,
      });
    }
  }
  return storages;
}

async function findPlaces(
  storages: readonly Storage[],
  deletions: readonly CatalogBackup[],
): Promise<readonly Place[]> {
  const places: Place[] = [];
  for (const backup of deletions) {
    for (const storage of storages) {
      const objects: StoredObject[] = [];
      for await (const object of storage.list(backup.storagePath)) objects.push(object);
      if (objects.length > 0) places.push({ backup, storage, objects });
    }
  }
  return places;
}

function hasMetadata({ backup, objects }: Place): boolean {
  return objects.some(({ key }) => key === `${backup.storagePath}/${METADATA_NAME}`);
}

async function markAll(session: Session, places: readonly Place[]): Promise<void> {
  for (const { backup, storage } of places) await putDeletionMark(session, storage, backup.storagePath, backup.id);
}

/** Those whose metadata went in an earlier try are past keeping; of the others anything new keeps them all. */
async function reasonToKeep(
  removal: Removal,
  storages: readonly Storage[],
  places: readonly Place[],
  stillThere: ReadonlySet<BackupId>,
): Promise<BackupctlError | undefined> {
  const child = await findNewChild(removal, storages, stillThere);
  if (child !== undefined) {
    return new BackupctlError(
      "RETENTION_POLICY_VIOLATION",
      `backup ${child.parent} is needed by ${child.id}, which was made meanwhile`,
      {
        hint: "Run `backupctl catalog rebuild`, then delete again --with-descendants.",
        data: { protections: [{ kind: "needed", backupId: child.parent }] },
      },
    );
  }
  if (removal.holdsAreLifted) return undefined;
  for (const { backup, storage } of places.filter(hasMetadata)) {
    if (!backup.committed) continue;
    const hold = await findHold(removal.repository, storage, backup.storagePath);
    if (hold === undefined) continue;
    return new BackupctlError("RETENTION_POLICY_VIOLATION", `backup ${backup.id} was put on hold meanwhile: ${hold}`, {
      hint: "Run `backupctl unhold ID` first, or delete with --force --reason TEXT.",
      data: { protections: [{ kind: "hold", backupId: backup.id }] },
    });
  }
  return undefined;
}

async function findHold(repository: Repository, storage: Storage, directory: string): Promise<string | undefined> {
  try {
    return (await readBackup(repository, storage, directory)).notes.hold?.reason;
  } catch (error) {
    // Damaged metadata proves no note; an unproven hold counts all the same.
    if (!isBackupctlError(error, "BACKUP_CORRUPTED") && !isBackupctlError(error, "UNSUPPORTED_FORMAT")) throw error;
    return undefined;
  }
}

/** Backups that this catalog does not know yet (another host's) and that build on one of these. */
async function findNewChild(
  { session, catalog }: Removal,
  storages: readonly Storage[],
  stillThere: ReadonlySet<BackupId>,
): Promise<{ readonly id: BackupId; readonly parent: BackupId } | undefined> {
  if (stillThere.size === 0) return undefined;
  const rows = catalog.list({}).backups.filter(({ committed }) => committed);
  const known = new Set(rows.map(({ storagePath }) => storagePath));
  for (const storage of storages) {
    for (const [directory, names] of await listBackupDirectories(storage, (name) => name)) {
      if (known.has(directory) || !names.includes(METADATA_NAME) || names.includes(DELETED_NAME)) continue;
      const metadata = await readUnproven(session, storage, directory);
      const needed = metadata?.lineage.find(({ id }) => id !== metadata.id && stillThere.has(id));
      if (metadata !== undefined && needed !== undefined) return { id: metadata.id, parent: needed.id };
    }
  }
  return undefined;
}

/** Unproven is enough: it can only keep. */
async function readUnproven(
  session: Session,
  storage: Storage,
  directory: string,
): Promise<BackupMetadata | undefined> {
  const bytes = await readObject(storage, `${directory}/${METADATA_NAME}`, MAX_METADATA_BYTES);
  if (bytes === undefined) return undefined;
  try {
    return decodeMetadata(bytes, directory).metadata;
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    session.logger.warn(`${error.message}; it restores nothing, so it keeps nothing`);
    return undefined;
  }
}

/** Takes the marks back from what still has its metadata; the rest stays marked, for the next try. */
async function withdraw(
  { catalog }: Removal,
  places: readonly Place[],
  stillThere: ReadonlySet<BackupId>,
): Promise<void> {
  for (const { backup, storage } of places) {
    if (!stillThere.has(backup.id)) continue;
    await storage.remove(`${backup.storagePath}/${DELETED_NAME}`);
    // Resumed, the row says `deleting`; what it was before only metadata still knows.
    catalog.setStatus(backup.id, backup.status === "deleting" ? (backup.metadata?.status ?? "failed") : backup.status);
  }
}

async function removeObjects({ backup, storage, objects }: Place): Promise<number> {
  const kept = new Set([METADATA_NAME, DELETED_NAME].map((name) => `${backup.storagePath}/${name}`));
  await mapInParallel(
    objects.filter(({ key }) => !kept.has(key)),
    PARALLEL_REMOVES,
    ({ key }) => storage.remove(key),
  );
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function record({ session, catalog, detail }: Removal, backup: CatalogBackup): void {
  const at = session.clock.now().toISOString();
  const { type, mode, timestamp, storagePath } = backup;
  catalog.addEvent({
    at,
    action: "backup:delete",
    user: session.user,
    backupId: backup.id,
    status: "completed",
    detail: { type, mode, timestamp, storage_path: storagePath, ...detail },
  });
  catalog.remove(backup.id);
}
