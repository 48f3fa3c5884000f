import type { Catalog, CatalogBackup, UnreadableBackup } from "../../catalog/catalog.ts";
import { type BackupId, isBackupId } from "../../domain/backup.ts";
import { directoryFacts } from "../../domain/object-names.ts";
import { BackupctlError, type ErrorCode, isBackupctlError } from "../../errors.ts";
import { parseJsonObject } from "../../format/parse-json.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { Storage } from "../../storage/storage.ts";
import { listNumbered, readNumbered } from "./numbered-objects.ts";
import { readNotes } from "./stored-notes.ts";

/** A directory of a backup whose metadata.json nobody can read. */
export interface UnreadableDirectory {
  readonly directory: string;
  readonly storages: readonly Storage[];
  readonly error: { readonly code: ErrorCode; readonly message: string };
}

/**
 * What can be said of such a backup without its metadata. Its id is the one that others know it by (`lineageIds`, by directory), else the
 * one in its keys or notes, else one made up from its place.
 */
export async function describeUnreadable(
  { directory, storages, error }: UnreadableDirectory,
  known: {
    readonly lineageIds: ReadonlyMap<string, BackupId>;
    readonly taken: ReadonlySet<BackupId>;
    readonly at: string;
  },
): Promise<UnreadableBackup> {
  const { idPrefix, timestamp } = directoryFacts(directory);
  const { keys, notes } = await listNumbered(storages, directory);
  const isPossible = (id: BackupId | undefined): id is BackupId =>
    id?.startsWith(idPrefix) === true && !known.taken.has(id);
  let id = known.lineageIds.get(directory);
  for (const object of [...keys.objects, ...notes.objects]) {
    if (isPossible(id)) break;
    id = saidId(await readNumbered(object));
  }
  const backup = {
    id: isPossible(id) ? id : idOfPlace(directory, idPrefix),
    timestamp,
    storage_path: directory,
    retention_until: null,
  };
  return {
    id: backup.id,
    storagePath: directory,
    error,
    notes: (await readNotes(notes, backup, undefined)).notes,
    copies: storages.map(({ name }) => ({ backupId: backup.id, storage: name, state: "damaged", at: known.at })),
  };
}

function saidId(bytes: Buffer | undefined): BackupId | undefined {
  if (bytes === undefined) return undefined;
  try {
    const { backup_id: id } = parseJsonObject(bytes, "");
    return typeof id === "string" && isBackupId(id) ? id : undefined;
  } catch (error) {
    if (!isBackupctlError(error, "BACKUP_CORRUPTED")) throw error;
    return undefined;
  }
}

/** The same one each time. */
function idOfPlace(directory: string, idPrefix: string): BackupId {
  const hex = sha256Hex(Buffer.from(directory));
  return `${idPrefix}-${hex.slice(0, 4)}-4${hex.slice(4, 7)}-8${hex.slice(7, 10)}-${hex.slice(10, 22)}` as BackupId;
}

export function unreadableIn(catalog: Catalog): readonly CatalogBackup[] {
  return catalog.list({ status: ["unreadable"] }).backups;
}

/** What has to be said wherever one is passed over. */
export function passedOverWarning({ id, error }: CatalogBackup): string {
  return `backup ${id} is passed over, since it can't be read: ${error?.message ?? "its metadata.json is damaged"}`;
}

/** @throws `BACKUP_CORRUPTED`, or why else it can't be read */
export function requireReadable({ status, error }: CatalogBackup): void {
  if (status !== "unreadable" || error === undefined) return;
  const isNewer = error.code === "UNSUPPORTED_FORMAT";
  throw new BackupctlError(isNewer ? "UNSUPPORTED_FORMAT" : "BACKUP_CORRUPTED", error.message, {
    hint: isNewer
      ? "Upgrade backupctl on this host, then run `backupctl catalog rebuild`."
      : "Bring its metadata.json back from a copy of the storage, then run `backupctl catalog rebuild`, or use another backup: `backupctl list`.",
  });
}
