import type { Catalog, RecordedRestore } from "../../catalog/catalog.ts";
import {
  IN_PLACE,
  type RestoredPlace,
  type RestoreStage,
  statusOfFailed,
  unfinishedWarning,
  unsaidAfterRestore,
} from "../../domain/unfinished-restore.ts";
import { isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import type { RestorePlan, RestoreRequest } from "../operations.ts";

/** The row of a restore in this host's catalog. */
export interface RestoreRecord {
  /** Before the first effect on a source's place `coming`, after the last `come`: what is said of it if this process dies, or the restore fails. */
  reach(source: string, stage: RestoreStage): void;
  end(outcome: "completed" | "failed", bytes: number, seconds: number): void;
}

/**
 * Writes the row `running`, and warns of restores that died, or failed half-way: with the lock held no other runs. A catalog that can't be written is
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
  let unfinished: readonly RecordedRestore[] = [];
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
    unfinished = opened.unfinishedRestores();
    opened.addRestore({ ...row, places, status: "running", bytes: 0, seconds: 0 });
    catalog = opened;
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    session.logger.warn(`the restore is not recorded: ${error.message}`);
  }
  for (const one of unfinished) session.logger.warn(unfinishedWarning(one));
  return {
    reach(source, stage) {
      places = places.map((place) => (place.source === source ? { ...place, stage } : place));
      attempt("how far the restore is", (open) => open.setPlaces(id, places));
    },
    end(outcome, bytes, seconds) {
      attempt("the end of the restore", (open) => {
        const status = outcome === "failed" ? statusOfFailed({ target, places }) : outcome;
        open.addRestore({ ...row, places, status, bytes, seconds });
        const detail = { restoreId: id, target, sources, bytes };
        open.addEvent({ at, action: "restore", user: session.user, backupId: plan.backup.id, status: outcome, detail });
        const isPart = request.include.length + request.exclude.length > 0;
        // What this one leaves mixed it says itself.
        const isTold = ({ stage }: RestoredPlace): boolean =>
          stage === "come" || (stage === "coming" && status === "mixed");
        const restored = places.filter((place) => isTold(place) && !isPart).map(({ place }) => place);
        for (const one of unfinished) open.setPlaces(one.id, unsaidAfterRestore(one, restored));
      });
    },
  };
}
