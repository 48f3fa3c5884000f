import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { METADATA_NAME } from "../../domain/object-names.ts";
import { BackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";

const LOOKS_AT_ONCE = 8;

/**
 * Which of these backups are locked in a storage, and why they stay there. Where old versions are kept, a removal would hide what stays, and is
 * paid for, until its time is over: so it is not tried. metadata.json is written last, and locked longest.
 */
export async function findLocked(
  storage: Storage,
  backups: readonly CatalogBackup[],
  signal: AbortSignal,
): Promise<readonly (readonly [BackupId, BackupctlError])[]> {
  const looked = await mapInParallel(backups, LOOKS_AT_ONCE, async ({ id, storagePath }) => {
    const until = await storage.lockedUntil?.(`${storagePath}/${METADATA_NAME}`, { signal });
    if (until === undefined) return [];
    const message = `backup ${id} is locked in storage "${storage.name}" until ${until.toISOString()}`;
    const hint = "It stays, with what it builds on; a cleanup after that time removes it.";
    return [[id, new BackupctlError("RETENTION_POLICY_VIOLATION", message, { hint })] as const];
  });
  return looked.flat();
}
