import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import { DELETED_NAME, TRIAL_NAME } from "../../domain/object-names.ts";
import { withoutName } from "../../domain/storage-messages.ts";
import { isBackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import { type Holding, holds, isMarkedDeleted, seenIn } from "../copies/holdings.ts";
import { DELETION_LAPSES_MS } from "../repository/deletion-mark.ts";
import type { Session } from "../session.ts";

const BYTES = Buffer.from("put by backupctl cleanup, to see what time it is here\n");

/** Takes the trial objects from what stays that died before they took theirs away: runs that made a backup, and `removeLapsedMarks`. */
export async function removeTrials(
  { signal, logger }: Session,
  holding: Holding,
  staying: readonly CatalogBackup[],
): Promise<void> {
  const { storage } = holding;
  const left = staying.filter((backup) => holds(holding, backup) && seenIn(holding, backup).has(TRIAL_NAME));
  for (const [i, { storagePath }] of left.entries()) {
    const key = `${storagePath}/${TRIAL_NAME}`;
    try {
      await storage.remove(key, { signal });
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      signal.throwIfAborted();
      // What the login may not do it may do to none of them.
      const stay = error.code === "STORAGE_DENIED" ? left.length - i : 1;
      const what =
        stay === 1 ? `${key}, which nobody needs, stays` : `${key} and ${stay - 1} more, which nobody needs, stay`;
      logger.warn(`${what} in storage "${storage.name}": ${withoutName(storage.name, error.message)}`);
      if (stay > 1) return;
    }
  }
}

/**
 * Takes the marks from what stays whose deletion died before its metadata.json went, and that nobody has gone on with until the mark
 * lapsed: nothing could be built on it for ever. Tells whether there were any; the catalog is to be filled anew then.
 */
export async function removeLapsedMarks(
  session: Session,
  catalog: Catalog,
  holding: Holding,
  staying: readonly CatalogBackup[],
): Promise<boolean> {
  const { storage } = holding;
  const marked = staying.filter((backup) => holds(holding, backup) && isMarkedDeleted(holding, backup));
  let any = false;
  for (const { id: backupId, storagePath } of marked) {
    session.signal.throwIfAborted();
    const mark = `${storagePath}/${DELETED_NAME}`;
    try {
      if (!(await hasLapsed(session, storage, storagePath))) continue;
      await storage.remove(mark);
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      session.logger.warn(`${mark}, which has lapsed, stays in storage "${storage.name}": ${error.message}`);
      continue;
    }
    any = true;
    session.logger.warn(
      `the deletion of backup ${backupId} in storage "${storage.name}" was never gone on with: the backup stays`,
    );
    const at = session.clock.now().toISOString();
    const detail = { storage: storage.name, storage_path: storagePath };
    catalog.addEvent({ at, action: "deletion:lapse", user: session.user, backupId, status: "completed", detail });
  }
  return any;
}

/** By the storage's own clock: this host's may be ahead, and somebody be deleting it just now. */
async function hasLapsed({ clock }: Session, storage: Storage, directory: string): Promise<boolean> {
  const mark = await storage.stat(`${directory}/${DELETED_NAME}`);
  if (mark === undefined || !isLapsed(mark.modifiedAt, clock.now())) return false;
  const key = `${directory}/${TRIAL_NAME}`;
  await storage.put(key, BYTES);
  const now = await storage.stat(key);
  await storage.remove(key);
  return now !== undefined && isLapsed(mark.modifiedAt, now.modifiedAt);
}

function isLapsed(since: Date, now: Date): boolean {
  return now.getTime() - since.getTime() >= DELETION_LAPSES_MS;
}
