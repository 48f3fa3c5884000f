import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { DELETED_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import type { Storage } from "../../storage/storage.ts";
import type { DeleteResult } from "../operations.ts";
import { indexDirectory } from "../repository/index-cache.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnremovable } from "../repository/unremovable.ts";
import type { Session } from "../session.ts";
import { deniedRemoval } from "./denied-removal.ts";
import { lockedVersions } from "./locked-versions.ts";
import { sayWhatCanBeRead } from "./secure-delete.ts";
import {
  findHold,
  findPlaces,
  hasMetadata,
  markAll,
  neededAmong,
  type Place,
  readUnknown,
  removePlaces,
  statusBefore,
} from "./steps.ts";

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

/**
 * Order of effects: locks looked at → a trial object put and removed in each storage → catalog `deleting` → `deleted.json` → copies, metadata of others and notes listed again: a child or hold that came
 * meanwhile keeps all → metadata.json away, children first → objects → `deleted.json` last → row gone, event kept. Killed anywhere, the
 * same delete goes on.
 */
export async function removeBackups(removal: Removal): Promise<Pick<DeleteResult, "bytesFreed" | "locked">> {
  const { session, repository, catalog, deletions } = removal;
  // Before anything is changed: a copy in a storage that is away would come back from the dead.
  const storages = await openEvery(session, repository);
  const found = await findPlaces(storages, deletions);
  await requireUnlocked(found, session.signal);
  for (const place of new Map(found.map((each) => [each.storage, each])).values()) {
    const denied = await deniedRemoval(place, session.signal);
    if (denied !== undefined) throw nothingDeleted(denied);
  }
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
  const locked = await lockedVersions(places, session.signal);
  let bytesRemoved = 0;
  for (const backup of deletions) {
    session.signal.throwIfAborted();
    const own = places.filter((place) => place.backup.id === backup.id);
    try {
      bytesRemoved += await removePlaces(own);
    } catch (error) {
      if (isBackupctlError(error, "RETENTION_POLICY_VIOLATION")) await withdrawWhole(removal, storages);
      throw error;
    }
    await removeTree(indexDirectory(repository, backup.id));
    record(removal, backup);
  }
  await sayWhatCanBeRead(session, storages, new Set(places.map(({ storage }) => storage.name)));
  return { bytesFreed: bytesRemoved - locked.reduce((sum, { bytes }) => sum + bytes, 0), locked };
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

/** Before anything is marked: where locks are kept from everybody, the mark could be one that nobody can take back. */
async function requireUnlocked(places: readonly Place[], signal: AbortSignal): Promise<void> {
  const firm = places.filter(({ storage }) => storage.capabilities.hidesLocked !== true);
  for (const { storage, until } of await lockedVersions(firm, signal)) {
    throw new BackupctlError(
      "RETENTION_POLICY_VIOLATION",
      `nothing is deleted: storage "${storage}" has it locked until ${until.toISOString()}`,
      { hint: "Delete it after that time: nobody may remove it before." },
    );
  }
}

function nothingDeleted({ code, message, hint, cause }: BackupctlError): BackupctlError {
  return new BackupctlError(code, `nothing is deleted: ${message}`, { ...(hint === undefined ? {} : { hint }), cause });
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
  for (const place of places.filter(hasMetadata)) {
    const { backup } = place;
    if (!backup.committed) continue;
    const hold = await findHold(removal.repository, place);
    if (hold === undefined) continue;
    return new BackupctlError("RETENTION_POLICY_VIOLATION", `backup ${backup.id} was put on hold meanwhile: ${hold}`, {
      hint: "Run `backupctl unhold ID` first, or delete with --force --reason TEXT.",
      data: { protections: [{ kind: "hold", backupId: backup.id }] },
    });
  }
  return undefined;
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
  for await (const metadata of readUnknown(session, storages, known)) {
    const parent = neededAmong(metadata, stillThere);
    if (parent !== undefined) return { id: metadata.id, parent };
  }
  return undefined;
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
    catalog.setStatus(backup.id, statusBefore(backup));
  }
}

/** A hold of the service's own, of which no storage tells before: what it has kept whole is a backup again. */
async function withdrawWhole(removal: Removal, storages: readonly Storage[]): Promise<void> {
  const left = await findPlaces(storages, removal.deletions);
  const broken = new Set(left.filter((place) => !hasMetadata(place)).map(({ backup }) => backup.id));
  const whole = left.filter(({ backup }) => !broken.has(backup.id));
  try {
    await withdraw(removal, whole, new Set(whole.map(({ backup }) => backup.id)));
  } catch (error) {
    if (!isUnremovable(error)) throw error;
    removal.session.logger.warn(`it stays marked as being deleted: ${error.message}`);
  }
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
