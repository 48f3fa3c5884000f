import type { Catalog, RunningRestore } from "../../catalog/catalog.ts";
import {
  diedWarning,
  IN_PLACE,
  type RestoredPlace,
  type RestoreStage,
  unsaidAfterRestore,
} from "../../domain/died-restore.ts";
import { isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import type { RestorePlan, RestoreRequest } from "../operations.ts";

/** The row of a restore in this host's catalog. */
export interface RestoreRecord {
  /** Before the first effect on a source's place `coming`, after the last `come`: what is said of it if this process dies. */
  reach(source: string, stage: RestoreStage): void;
  end(status: "completed" | "failed", bytes: number, seconds: number): void;
}

/**
 * Writes the row `running`, and warns of restores that died: with the lock held no other runs. A catalog that can't be written is
 * warned about: it must not stand in the way of a restore.
 */
export async function openRestoreRecord(
  context: OperationContext,
  request: RestoreRequest,
  plan: RestorePlan,
  id: string,
): Promise<RestoreRecord> {
  const { session } = context;
  const at = session.clock.now().toISOString();
  const target = request.to ?? request.target ?? IN_PLACE;
  const row = { id, backupId: plan.backup.id, at, target };
  const sources = plan.sources.map(({ name }) => name);
  let places: readonly RestoredPlace[] = plan.sources.map(({ name, place }) => {
    return { source: name, place, stage: "beside", marked: false };
  });
  let died: readonly RunningRestore[] = [];
  let catalog: Catalog | undefined;
  const attempt = (what: string, write: (catalog: Catalog) => void): void => {
    if (catalog === undefined) return;
    try {
      write(catalog);
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      session.logger.warn(`${what} is not recorded: ${error.message}`);
    }
  };
  try {
    const opened = await context.catalog("write");
    died = opened.runningRestores();
    opened.addRestore({ ...row, places, status: "running", bytes: 0, seconds: 0 });
    catalog = opened;
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    session.logger.warn(`the restore is not recorded: ${error.message}`);
  }
  for (const one of died) session.logger.warn(diedWarning(one));
  return {
    reach(source, stage) {
      places = places.map((place) => (place.source === source ? { ...place, stage } : place));
      attempt("how far the restore is", (open) => open.setPlaces(id, places));
    },
    end(status, bytes, seconds) {
      attempt("the end of the restore", (open) => {
        open.addRestore({ ...row, places, status, bytes, seconds });
        const detail = { restoreId: id, target, sources, bytes };
        open.addEvent({ at, action: "restore", user: session.user, backupId: plan.backup.id, status, detail });
        const isPart = request.include.length + request.exclude.length > 0;
        const restored = places.filter(({ stage }) => stage === "come" && !isPart).map(({ place }) => place);
        for (const one of died) open.setPlaces(one.id, unsaidAfterRestore(one, restored));
      });
    },
  };
}
