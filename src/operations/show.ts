import type { OperationContext } from "./context.ts";
import type { BackupDetails } from "./operations.ts";
import { detailsOf } from "./repository/backup-summary.ts";
import { findDeadRows } from "./repository/dead-rows.ts";
import { findReferenced } from "./repository/references.ts";

/** Everything that is known of one backup. Reads the catalog only. @throws `BACKUP_NOT_FOUND`, `BACKUP_CORRUPTED`, `USAGE` */
export async function showBackup(context: OperationContext, reference: string): Promise<BackupDetails> {
  const catalog = await context.catalog("read");
  const backup = findReferenced(catalog, reference);
  return { ...detailsOf(backup, catalog), ...(await findDeadRows(context, catalog)).get(backup.id) };
}
