import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import { STATUSES } from "../../domain/backup.ts";
import { resolveBackupId } from "../../domain/backup-id.ts";
import { isGood } from "../../domain/known-backup.ts";
import { directoryState, METADATA_NAME, parseBackupDirectory } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";

const PAGE = 50;

/**
 * The backup that `ID`, a unique prefix of one, or `latest` (the newest good and proven one) means.
 * @throws `BACKUP_NOT_FOUND`; `USAGE` for an ambiguous prefix or something that is no id.
 */
export function resolveReference(catalog: Catalog, reference: string): CatalogBackup {
  if (reference === "latest") return latestGood(catalog);
  return resolveBackupId(reference, (prefix) => catalog.findByPrefix(prefix));
}

/**
 * As `resolveReference`. A catalog that was made anew does not know a backup whose metadata.json is lost, but the storage tells.
 * @throws `BACKUP_CORRUPTED` for such a one
 */
export async function findReferenced(
  context: OperationContext,
  catalog: Catalog,
  reference: string,
): Promise<CatalogBackup> {
  try {
    return resolveReference(catalog, reference);
  } catch (error) {
    if (!isBackupctlError(error, "BACKUP_NOT_FOUND")) throw error;
    const { listBackupDirectories } = await import("./repository.ts");
    const { primary } = await context.repository();
    const prefix = reference.trim().toLowerCase().slice(0, 8);
    for (const [directory, names] of await listBackupDirectories(primary, (name) => name)) {
      if (parseBackupDirectory(directory)?.idPrefix.startsWith(prefix) !== true) continue;
      if (directoryState(names) === "damaged") throw metadataLost(directory, primary.name, error);
    }
    throw error;
  }
}

function metadataLost(directory: string, storage: string, cause: unknown): BackupctlError {
  return new BackupctlError("BACKUP_CORRUPTED", `${directory}/${METADATA_NAME} is missing in storage "${storage}"`, {
    hint: "Bring it back from a copy of the storage, then `backupctl catalog rebuild`, or use another backup: `backupctl list`.",
    cause,
  });
}

function latestGood(catalog: Catalog): CatalogBackup {
  // Page by page: the newest is nearly always on the first, whatever the catalog holds.
  for (let offset = 0; ; offset += PAGE) {
    const { backups, total } = catalog.list({ limit: PAGE, offset });
    const found = backups.find(isGood);
    if (found !== undefined) return found;
    if (offset + PAGE < total) continue;
    throw new BackupctlError("BACKUP_NOT_FOUND", total === 0 ? "there is no backup yet" : "there is no good backup", {
      hint:
        total === 0
          ? "Make one with `backupctl create`, or run `backupctl catalog rebuild` if another host made some."
          : "Run `backupctl list --verbose` to see what is wrong with each.",
    });
  }
}

/** @throws `USAGE` for a word that is no status. */
export function parseStatus(text: string): string {
  const found = STATUSES.find((status) => status === text);
  if (found !== undefined) return found;
  throw new BackupctlError("USAGE", `--status "${text}" is not a status`, {
    hint: `Use one of ${STATUSES.join(", ")}.`,
  });
}
