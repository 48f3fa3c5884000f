import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import { METADATA_NAME } from "../../domain/object-names.ts";
import type { BackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import { openStorage, type Session, storageDefinition } from "../session.ts";
import { isUnreachable } from "./unreachable.ts";

const LOOKS_AT_ONCE = 8;

/** Until when nobody may remove a backup. */
export type Locks = ReadonlyMap<BackupId, Date>;

/**
 * Of these backups those that are locked in a storage. Where old versions are kept, a removal would hide what stays, and is paid for, until its
 * time is over. metadata.json is written last, and locked longest.
 */
export async function locksOf(
  storage: Storage,
  backups: readonly CatalogBackup[],
  signal: AbortSignal,
): Promise<Locks> {
  if (storage.lockedUntil === undefined) return new Map();
  const looked = await mapInParallel(backups, LOOKS_AT_ONCE, async ({ id, storagePath }) => {
    const until = await storage.lockedUntil?.(`${storagePath}/${METADATA_NAME}`, { signal });
    return until === undefined ? [] : [[id, until] as const];
  });
  return new Map(looked.flat());
}

interface AskedForLocks {
  readonly locks?: Locks;
  /** As the storage's own `hidesLocked`. */
  readonly hidesLocked?: boolean;
  /** Why it could not be asked. */
  readonly unasked?: Pick<BackupctlError, "code" | "message">;
}

/** The same of a storage that is not open; one that is away is not waited for. */
export async function askForLocks(
  session: Session,
  config: StorageConfig,
  backups: readonly CatalogBackup[],
): Promise<AskedForLocks> {
  if (backups.length === 0 || storageDefinition(session, config.type).knowsLocks !== true) return {};
  let storage: Storage | undefined;
  try {
    storage = await openStorage(session, config.name, { once: true });
    const locks = await locksOf(storage, backups, session.signal);
    return { locks, hidesLocked: storage.capabilities.hidesLocked === true };
  } catch (error) {
    session.signal.throwIfAborted();
    if (!isUnreachable(error)) throw error;
    const { code, message } = error;
    return { unasked: { code, message } };
  } finally {
    await storage?.close();
  }
}
