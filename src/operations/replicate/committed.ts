import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupMetadata } from "../../domain/backup.ts";

/** A backup that is in storage, and that nobody deletes. */
export type CommittedBackup = CatalogBackup & { readonly metadata: BackupMetadata };

export function isCommitted(backup: CatalogBackup): backup is CommittedBackup {
  return backup.committed && backup.status !== "deleting" && backup.metadata !== undefined;
}
