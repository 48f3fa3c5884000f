import type { Catalog } from "../../catalog/catalog.ts";
import { isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import type { RestorePlan, RestoreRequest } from "../operations.ts";

/** The target of a restore to its own place. */
export const IN_PLACE = "in place";

/** The row of a restore in this host's catalog. */
interface RestoreRecord {
  end(status: "completed" | "failed", bytes: number, seconds: number): void;
}

/** Writes the row `running`. A catalog that can't be written is warned about: it must not stand in the way of a restore. */
export async function openRestoreRecord(
  context: OperationContext,
  request: RestoreRequest,
  plan: RestorePlan,
  { id, replaces }: { readonly id: string; readonly replaces: boolean },
): Promise<RestoreRecord> {
  const { session } = context;
  const at = session.clock.now().toISOString();
  const target = request.to ?? request.target ?? IN_PLACE;
  const sources = plan.sources.map(({ name }) => name);
  const row = { id, backupId: plan.backup.id, at, target, sources, replaces };

  const attempt = async (write: (catalog: Catalog) => void): Promise<Catalog | undefined> => {
    try {
      const catalog = await context.catalog("write");
      write(catalog);
      return catalog;
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      session.logger.warn(`the restore is not recorded: ${error.message}`);
      return undefined;
    }
  };

  const catalog = await attempt((found) => found.addRestore({ ...row, status: "running", bytes: 0, seconds: 0 }));
  return {
    end(status, bytes, seconds) {
      if (catalog === undefined) return;
      try {
        catalog.addRestore({ ...row, status, bytes, seconds });
        const detail = { restoreId: id, target, sources, bytes };
        catalog.addEvent({ at, action: "restore", user: session.user, backupId: plan.backup.id, status, detail });
      } catch (error) {
        if (!isBackupctlError(error)) throw error;
        session.logger.warn(`the end of the restore is not recorded: ${error.message}`);
      }
    },
  };
}
