import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import { isBackupId } from "../../domain/backup.ts";
import { resolveBackupId } from "../../domain/backup-id.ts";
import { isGood } from "../../domain/known-backup.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { requireReadable, unreadableIn } from "./unreadable-backups.ts";

const PAGE = 50;

/**
 * The backup that `ID`, a unique prefix of one, or `latest` (the newest good and proven one) means.
 * @throws `BACKUP_NOT_FOUND`; `USAGE` for an ambiguous prefix or something that is no id; `BACKUP_CORRUPTED` where none is good, and one
 * can't be read
 */
export function resolveReference(catalog: Catalog, reference: string): CatalogBackup {
  if (reference === "latest") return latestGood(catalog);
  try {
    return resolveBackupId(reference, (prefix) => catalog.findByPrefix(prefix));
  } catch (error) {
    const found = isBackupctlError(error, "BACKUP_NOT_FOUND") ? unreadableLike(catalog, reference) : undefined;
    if (found === undefined) throw error;
    return found;
  }
}

/** As `resolveReference`, of a backup that can be read. @throws `BACKUP_CORRUPTED` for one that is there and can't */
export function findReferenced(catalog: Catalog, reference: string): CatalogBackup {
  const backup = resolveReference(catalog, reference);
  requireReadable(backup);
  return backup;
}

/** Of a backup that can't be read only the first digits of the id may be known. */
function unreadableLike(catalog: Catalog, reference: string): CatalogBackup | undefined {
  const id = reference.trim().toLowerCase();
  if (!isBackupId(id)) return undefined;
  return catalog.findByPrefix(id.slice(0, 8)).find(({ status }) => status === "unreadable");
}

function latestGood(catalog: Catalog): CatalogBackup {
  // Page by page: the newest is nearly always on the first, whatever the catalog holds.
  for (let offset = 0; ; offset += PAGE) {
    const { backups, total } = catalog.list({ limit: PAGE, offset });
    const found = backups.find(isGood);
    if (found !== undefined) return found;
    if (offset + PAGE < total) continue;
    for (const unreadable of unreadableIn(catalog)) requireReadable(unreadable);
    throw new BackupctlError("BACKUP_NOT_FOUND", total === 0 ? "there is no backup yet" : "there is no good backup", {
      hint:
        total === 0
          ? "Make one with `backupctl create`, or run `backupctl catalog rebuild` if another host made some."
          : "Run `backupctl list --verbose` to see what is wrong with each.",
    });
  }
}
