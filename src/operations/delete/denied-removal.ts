import { TRIAL_NAME } from "../../domain/object-names.ts";
import { withoutName } from "../../domain/storage-messages.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Place } from "./steps.ts";

const BYTES = Buffer.from("put by backupctl, to see whether it may be removed\n");

const HINT =
  "Give this login the right to delete there, or take that storage out of the configuration: its copies stay then.";

/**
 * Why nothing can be removed where this lies, tried with an object that nobody misses; `undefined` where this login may. It may also where
 * the service keeps what is new for a time, which says nothing of what is older, and where a full disk takes no object to try it with.
 */
export async function deniedRemoval(
  { storage, backup, objects }: Place,
  signal: AbortSignal,
): Promise<BackupctlError | undefined> {
  const key = `${backup.storagePath}/${TRIAL_NAME}`;
  try {
    if (!objects.some((object) => object.key === key)) await storage.put(key, BYTES, { signal });
    await storage.remove(key, { signal });
    return undefined;
  } catch (error) {
    if (isBackupctlError(error, "INSUFFICIENT_STORAGE") || isBackupctlError(error, "RETENTION_POLICY_VIOLATION"))
      return undefined;
    if (!isBackupctlError(error, "STORAGE_DENIED")) throw error;
    const why = `this login may not delete in storage "${storage.name}": ${withoutName(storage.name, error.message)}`;
    return new BackupctlError("STORAGE_DENIED", why, { hint: HINT, cause: error });
  }
}
