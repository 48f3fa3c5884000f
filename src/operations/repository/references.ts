import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import { STATUSES } from "../../domain/backup.ts";
import { resolveBackupId } from "../../domain/backup-id.ts";
import { isGood } from "../../domain/known-backup.ts";
import { BackupctlError } from "../../errors.ts";

const PAGE = 50;

/**
 * The backup that `ID`, a unique prefix of one, or `latest` (the newest good and proven one) means.
 * @throws `BACKUP_NOT_FOUND`; `USAGE` for an ambiguous prefix or something that is no id.
 */
export function resolveReference(catalog: Catalog, reference: string): CatalogBackup {
  if (reference === "latest") return latestGood(catalog);
  return resolveBackupId(reference, (prefix) => catalog.findByPrefix(prefix));
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
