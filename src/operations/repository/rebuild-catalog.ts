import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import { acquireLock } from "../../platform/lock.ts";
import type { OperationContext } from "../context.ts";
import type { RebuildResult } from "../operations.ts";
import type { Session } from "../session.ts";
import { markedWarning } from "./deletion-mark.ts";
import type { Repository } from "./repository.ts";
import { type RepositoryScan, scanRepository } from "./scan-repository.ts";

/**
 * Makes the catalog say what the storages hold, from metadata and notes alone. This host's own history (runs that failed, restores,
 * events) stays where the file was sound. Backups that no key at hand proves are `unverified`: listed, never built upon.
 * @throws `BACKUP_IN_PROGRESS` while something is being made or deleted here.
 */
export async function rebuildCatalog(context: OperationContext): Promise<RebuildResult> {
  const { session } = context;
  const { clock, signal } = session;
  const started = clock.monotonicMs();
  const repository = await context.repository();
  const lock = await acquireLock(repository.state.lock, { operation: "catalog rebuild" }, { signal, clock });
  try {
    const scan = await fillCatalog(session, repository, await context.catalog("keep"));
    return {
      found: scan.backups.length,
      unverified: scan.backups.filter(({ trusted }) => !trusted).length,
      unfinished: scan.unfinished.length,
      damaged: scan.damaged,
      seconds: Math.round(clock.monotonicMs() - started) / 1000,
    };
  } finally {
    await lock.release();
  }
}

/** Puts all that is in storage into the catalog, and takes out what is there no longer. */
export async function fillCatalog(session: Session, repository: Repository, catalog: Catalog): Promise<RepositoryScan> {
  // Known before the storages are listed: a backup that is committed meanwhile is not mistaken for one that went.
  const known = catalog.list({}).backups;
  const paths = (backups: readonly CatalogBackup[]) => new Set(backups.map(({ storagePath }) => storagePath));
  const scan = await scanRepository(session, repository, {
    underWay: paths(known.filter(isRunning)),
    committed: paths(known.filter(({ committed, status }) => committed && status !== "deleting")),
  });
  for (const { metadata } of scan.backups) {
    const storageName = scan.deleting.get(metadata.id);
    if (storageName !== undefined) session.logger.warn(markedWarning(storageName, metadata));
  }
  // At once: half a catalog would be taken for a whole one.
  catalog.together(() => {
    catalog.bindRepository(repository.id);
    takeOver(session, catalog, known, scan);
  });
  return scan;
}

function takeOver(session: Session, catalog: Catalog, known: readonly CatalogBackup[], scan: RepositoryScan): void {
  const seenWhole = new Set(scan.storages);
  // A copy in a storage that is away may be there still.
  const away = new Map(known.map(({ id, copies }) => [id, copies.filter(({ storage }) => !seenWhole.has(storage))]));
  for (const backup of scan.backups) {
    const copies = [...backup.copies, ...(away.get(backup.metadata.id) ?? [])];
    catalog.restoreFromStorage({ ...backup, copies });
    if (scan.deleting.has(backup.metadata.id)) catalog.setStatus(backup.metadata.id, "deleting");
  }
  const found = new Set(scan.backups.map(({ metadata }) => metadata.id));
  const lost = new Map(scan.unreadable.map((backup) => [backup.storagePath, backup]));
  for (const backup of known.filter(({ id }) => !found.has(id))) {
    const unreadable = lost.get(backup.storagePath);
    const elsewhere = (away.get(backup.id) ?? []).length > 0;
    if (backup.committed && !elsewhere && unreadable === undefined) forget(session, catalog, backup);
    else if (backup.committed) markCopies(catalog, backup, seenWhole, unreadable === undefined ? "missing" : "damaged");
    // What a row says of a backup or a run is more than what its place says.
    if (backup.status !== "unreadable") lost.delete(backup.storagePath);
    else if (backup.id !== unreadable?.id && !elsewhere) catalog.remove(backup.id);
  }
  for (const backup of lost.values()) catalog.restoreUnreadable(backup);
}

function markCopies(
  catalog: Catalog,
  backup: CatalogBackup,
  storages: ReadonlySet<string>,
  state: "damaged" | "missing",
): void {
  for (const copy of backup.copies) if (storages.has(copy.storage)) catalog.setCopy({ ...copy, state });
}

function isRunning({ status }: CatalogBackup): boolean {
  return status === "running" || status === "pending";
}

function forget(session: Session, catalog: Catalog, backup: CatalogBackup): void {
  catalog.remove(backup.id);
  const at = session.clock.now().toISOString();
  const detail = { storage_path: backup.storagePath, reason: "no storage holds it any longer" };
  catalog.addEvent({
    at,
    action: "backup:forget",
    user: session.user,
    backupId: backup.id,
    status: "completed",
    detail,
  });
}
