import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, BackupNotes } from "../../domain/backup.ts";
import { MAX_NUMBER, METADATA_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { metadataKey } from "../../format/data-key.ts";
import { encodeNotes } from "../../format/notes.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import type { OperationContext } from "../context.ts";
import { storageNames } from "../session.ts";
import { type Repository, readBackup } from "./repository.ts";
import { collectNotes } from "./stored-notes.ts";
import { isUnreachable } from "./unreachable.ts";
import { requireReadable } from "./unreadable-backups.ts";

interface NotesChange {
  readonly change: (notes: BackupNotes) => BackupNotes;
  /** A note without its mac can keep a backup, so a hold needs no key; everything else does. */
  readonly needsKey: boolean;
}

/**
 * Changes a backup's notes: the same new object into every storage that can be reached and has the backup, then the catalog.
 * Storages that can't be reached are warned about: the notes in force are those of all.
 * @throws `BACKUP_NOT_FOUND` if no storage at hand has it; what keeps its key from being opened; `UNSUPPORTED_FORMAT` where
 * the notes of another version would be lost by it.
 */
export async function writeNotes(
  context: OperationContext,
  id: BackupId,
  directory: string,
  wanted: NotesChange,
): Promise<BackupNotes> {
  const { session } = context;
  const repository = await context.repository();
  const storages = await storagesHolding(repository, storageNames(session), directory);
  const [first] = storages;
  if (first === undefined) {
    throw new BackupctlError("BACKUP_NOT_FOUND", `no storage holds backup ${id} any longer`, {
      hint: "Run `backupctl catalog rebuild`, then `backupctl list`.",
    });
  }
  const stored = await readBackup(repository, first, directory);
  if (!stored.trusted && wanted.needsKey && stored.problem !== undefined) throw stored.problem;
  const macKey = stored.trusted && stored.dataKey !== undefined ? metadataKey(stored.dataKey, id) : undefined;
  const collected = await collectNotes(storages, stored.metadata, macKey);
  if (collected.unknown !== undefined) {
    await remember(context, id, collected.notes);
    throw new BackupctlError("UNSUPPORTED_FORMAT", `the notes of backup ${id} can't be changed: ${collected.unknown}`, {
      hint: "It counts as on hold. Use the release of backupctl that wrote the object, or a newer one; remove by hand what somebody else has put there.",
    });
  }
  if (collected.highest >= MAX_NUMBER) {
    throw new BackupctlError(
      "BACKUP_CORRUPTED",
      `${directory} has notes with number ${collected.highest}: none can follow`,
      {
        hint: "No backupctl has written them. Remove them from the storage by hand.",
      },
    );
  }
  if (collected.beyond.length > 0) {
    const names = [...new Set(collected.beyond)].join(", ");
    session.logger.warn(
      `no backupctl has written ${names} in ${directory}: what they keep stays kept until they are removed from the storage by hand`,
    );
  }
  const notes = wanted.change(collected.highest < 0 ? await knownNotes(context, id) : collected.notes);
  const object = encodeNotes({ backupId: id, n: collected.highest + 1, notes, macKey });
  let written = 0;
  let failure: unknown;
  for (const storage of storages) {
    try {
      await storage.put(`${directory}/${object.name}`, object.bytes);
      written++;
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      failure = error;
      session.logger.warn(`notes of backup ${id} could not be written to storage "${storage.name}": ${error.message}`);
    }
  }
  if (written === 0) throw failure;
  await remember(context, id, notes);
  return notes;
}

/** Somebody may have removed all notes of a backup: a hold that this host knows of must not go with them. */
async function knownNotes(context: OperationContext, id: BackupId): Promise<BackupNotes> {
  const notes = (await context.catalog("read")).get(id)?.notes ?? {};
  if (Object.keys(notes).length > 0) {
    context.session.logger.warn(
      `the notes of backup ${id} are gone from storage: what the catalog knows is written again`,
    );
  }
  return notes;
}

async function remember(context: OperationContext, id: BackupId, notes: BackupNotes): Promise<void> {
  const catalog = await context.catalog("write");
  if (catalog.get(id) !== undefined) catalog.setNotes(id, notes);
}

/** Those of the storages `names` that can be reached and have the backup's metadata, in their order. */
export async function storagesHolding(
  repository: Repository,
  names: readonly string[],
  directory: string,
  patience?: Patience,
): Promise<readonly Storage[]> {
  const holdsIt = async (storage: Storage) =>
    (await storage.stat(`${directory}/${METADATA_NAME}`, patience?.(storage.name))) === undefined ? [] : [storage];
  return (await inReachableStorages(repository, names, holdsIt, patience)).flat();
}

/** How long a storage, by its name, is waited for. */
type Patience = (name: string) => OperationOptions | undefined;

/** What `use` gives of each of the storages `names`, in their order. Those that can't be reached are warned about. */
export async function inReachableStorages<T>(
  repository: Repository,
  names: readonly string[],
  use: (storage: Storage) => Promise<T>,
  patience?: Patience,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (const name of names) {
    try {
      results.push(await use(await repository.storage(name, patience?.(name))));
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      repository.leaveOut(name, error);
    }
  }
  return results;
}

/** @throws `BACKUP_NOT_FOUND` for a backup that was never completed, or that is being deleted; `BACKUP_CORRUPTED` where it can't be read. */
export function requireCommitted(
  backup: CatalogBackup,
): asserts backup is CatalogBackup & { readonly metadata: BackupMetadata } {
  if (backup.committed && backup.status !== "deleting") return;
  requireReadable(backup);
  const why = backup.status === "deleting" ? "is being deleted" : `was never completed (${backup.status})`;
  throw new BackupctlError("BACKUP_NOT_FOUND", `backup ${backup.id} ${why}`, {
    hint: "Run `backupctl list --status completed` to see those that can be used.",
  });
}
