import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import { DELETED_NAME, METADATA_NAME, roleOf } from "../../domain/object-names.ts";
import { isBackupctlError } from "../../errors.ts";
import { decodeMetadata } from "../../format/metadata.ts";
import { MAX_METADATA_BYTES } from "../../format/parse-json.ts";
import type { Storage, StoredObject } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import { putDeletionMark } from "../repository/deletion-mark.ts";
import { readObject } from "../repository/read-object.ts";
import { listBackupDirectories, type Repository, readBackup } from "../repository/repository.ts";
import type { Session } from "../session.ts";

/** The steps of which every deletion is made. */

const PARALLEL_CALLS = 8;

/** A backup's directory in one storage that has anything in it. */
export interface Place {
  readonly backup: CatalogBackup;
  readonly storage: Storage;
  readonly objects: readonly StoredObject[];
}

export async function findPlaces(
  storages: readonly Storage[],
  deletions: readonly CatalogBackup[],
): Promise<readonly Place[]> {
  const asked = deletions.flatMap((backup) => storages.map((storage) => ({ backup, storage })));
  const places = await mapInParallel(asked, PARALLEL_CALLS, async ({ backup, storage }): Promise<Place> => {
    const objects: StoredObject[] = [];
    for await (const object of storage.list(backup.storagePath)) objects.push(object);
    return { backup, storage, objects };
  });
  return places.filter(({ objects }) => objects.length > 0);
}

export function hasMetadata({ backup, objects }: Place): boolean {
  return objects.some(({ key }) => key === `${backup.storagePath}/${METADATA_NAME}`);
}

export async function markAll(session: Session, places: readonly Place[]): Promise<void> {
  await mapInParallel(places, PARALLEL_CALLS, ({ backup, storage }) =>
    putDeletionMark(session, storage, backup.storagePath, backup.id),
  );
}

/** A hold that somebody has put on it meanwhile, in another host's words. */
export async function findHold(repository: Repository, { storage, backup }: Place): Promise<string | undefined> {
  try {
    return (await readBackup(repository, storage, backup.storagePath)).notes.hold?.reason;
  } catch (error) {
    // Damaged metadata proves no note; an unproven hold counts all the same.
    if (!isBackupctlError(error, "BACKUP_CORRUPTED") && !isBackupctlError(error, "UNSUPPORTED_FORMAT")) throw error;
    return undefined;
  }
}

/** Backups in these storages that the catalog does not know (another host's), by what they say of themselves. */
export async function* readUnknown(
  session: Session,
  storages: readonly Storage[],
  known: ReadonlySet<string>,
): AsyncIterable<BackupMetadata> {
  for (const storage of storages) {
    for (const [directory, names] of await listBackupDirectories(storage, (name) => name)) {
      if (known.has(directory) || !names.includes(METADATA_NAME) || names.includes(DELETED_NAME)) continue;
      const metadata = await readUnproven(session, storage, directory);
      if (metadata !== undefined) yield metadata;
    }
  }
}

/** Of those that a backup builds on the first that is among these. */
export function neededAmong({ id, lineage }: BackupMetadata, deleted: ReadonlySet<BackupId>): BackupId | undefined {
  return lineage.find((member) => member.id !== id && deleted.has(member.id))?.id;
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

/**
 * What lies of one backup in these places, the metadata first: from then on it is no backup. The marks last: as long as anything lies there
 * they say why. Gives the bytes that went.
 */
export async function removePlaces(places: readonly Place[]): Promise<number> {
  let bytes = 0;
  for (const { storage, backup } of places) await storage.remove(`${backup.storagePath}/${METADATA_NAME}`);
  for (const place of places) bytes += await removeObjects(place);
  for (const { storage, backup } of places) await storage.remove(`${backup.storagePath}/${DELETED_NAME}`);
  return bytes;
}

/** What the catalog said before the deletion. Resumed, the row says `deleting`; what it was before only metadata still knows. */
export function statusBefore({ status, metadata }: CatalogBackup): CatalogBackup["status"] {
  return status === "deleting" ? (metadata?.status ?? "failed") : status;
}

/**
 * All but the two that say what the directory is, keys objects first: whatever keeps packs from going, or brings them back later, nobody
 * opens them by what lies here. Gives the bytes that went, those included.
 */
async function removeObjects({ backup, storage, objects }: Place): Promise<number> {
  const kept = new Set([METADATA_NAME, DELETED_NAME].map((name) => `${backup.storagePath}/${name}`));
  const going = objects.filter(({ key }) => !kept.has(key));
  const isKeys = ({ key }: StoredObject): boolean => roleOf(key.slice(backup.storagePath.length + 1)) === "keys";
  for (const part of [going.filter(isKeys), going.filter((object) => !isKeys(object))])
    await mapInParallel(part, PARALLEL_CALLS, ({ key }) => storage.remove(key));
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
