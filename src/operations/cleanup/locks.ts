import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import { METADATA_NAME } from "../../domain/object-names.ts";
import type { BackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import { openStorage, type Session, storageDefinition } from "../session.ts";
import { judge } from "./judge.ts";

const LOOKS_AT_ONCE = 8;

/** Until when nobody may remove a backup. */
export type Locks = ReadonlyMap<BackupId, Date>;

/**
 * Of the backups that would go from a storage those that are locked there. Where old versions are kept, a removal would hide what stays, and is
 * paid for, until its time is over: so it is not tried. metadata.json is written last, and locked longest.
 */
export async function locksIn(
  session: Session,
  storage: Storage,
  config: StorageConfig,
  backups: readonly CatalogBackup[],
): Promise<Locks> {
  if (storage.lockedUntil === undefined) return new Map();
  const going = judge(session, config, backups).filter(({ keep }) => !keep);
  const looked = await mapInParallel(going, LOOKS_AT_ONCE, async ({ backup }) => {
    const until = await storage.lockedUntil?.(`${backup.storagePath}/${METADATA_NAME}`, { signal: session.signal });
    return until === undefined ? [] : [[backup.id, until] as const];
  });
  return new Map(looked.flat());
}

interface AskedForLocks {
  readonly locks?: Locks;
  /** Why it could not be asked. */
  readonly unasked?: Pick<BackupctlError, "code" | "message">;
}

/** The same of a storage that is not open; one that is away is not waited for. */
export async function askForLocks(
  session: Session,
  config: StorageConfig,
  backups: readonly CatalogBackup[],
): Promise<AskedForLocks> {
  if (storageDefinition(session, config.type).isLocal === true) return {};
  if (judge(session, config, backups).every(({ keep }) => keep)) return {};
  let storage: Storage | undefined;
  try {
    storage = await openStorage(session, config.name, { once: true });
    return { locks: await locksIn(session, storage, config, backups) };
  } catch (error) {
    session.signal.throwIfAborted();
    if (!isUnreachable(error)) throw error;
    const { code, message } = error;
    return { unasked: { code, message } };
  } finally {
    await storage?.close();
  }
}
