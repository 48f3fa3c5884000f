import type { Catalog } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { isRunning } from "../../domain/known-backup.ts";
import { readHolder } from "../../platform/lock.ts";
import type { OperationContext } from "../context.ts";
import type { BackupSummary } from "../operations.ts";
import { statePaths } from "../session.ts";

/** What the next run, which clears what they left, writes down of them. */
const DIED = {
  status: "failed",
  error: { code: "INTERRUPTED", message: "the run died before it was complete" },
} as const;

type Died = Pick<BackupSummary, "status" | "error">;

/** What is to be said of runs that died and that the catalog still takes for running. */
export async function findDeadRows(context: OperationContext, catalog: Catalog): Promise<ReadonlyMap<BackupId, Died>> {
  const running = catalog.list({ status: ["running", "pending"] }).backups;
  if (running.length === 0) return new Map();
  const { alive, holder } = await readHolder((await statePaths(context.session)).lock);
  const dead = running.filter(({ id }) => {
    if (alive && holder?.backupId === id) return false;
    // It may have ended since the catalog was asked.
    const now = catalog.get(id);
    return now !== undefined && isRunning(now);
  });
  return new Map(dead.map(({ id }) => [id, DIED]));
}
