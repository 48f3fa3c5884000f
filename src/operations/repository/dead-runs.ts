import * as path from "node:path";
import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, LineageMember } from "../../domain/backup.ts";
import { METADATA_NAME } from "../../domain/object-names.ts";
import { type BackupctlError, isBackupctlError } from "../../errors.ts";
import { requirePlace } from "../../format/metadata.ts";
import { listDirectory, removeFileIfExists } from "../../platform/files.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { namesWithoutArchives, type Session } from "../session.ts";
import { impatience } from "./impatience.ts";
import { indexDirectory } from "./index-cache.ts";
import { findDeletedAncestor } from "./lineage-check.ts";
import { type Repository, readBackup, type StoredBackup } from "./repository.ts";
import { isUnreachable } from "./unreachable.ts";
import { inReachableStorages, storagesHolding } from "./write-notes.ts";

/**
 * Clears the half copies of a failed run. Where that can't be done, or not soon, the catalog has a damaged copy of it, by which the next run finds
 * what lies there. Tells whether all are gone.
 */
export async function clearLeavings(
  session: Session,
  catalog: Catalog,
  backupId: BackupId,
  directory: string,
  storages: readonly Storage[],
): Promise<boolean> {
  let cleared = true;
  for (const storage of storages) {
    const at = session.clock.now().toISOString();
    try {
      await removeDirectory(storage, directory, () => impatience(session.clock));
      catalog.setCopy({ backupId, storage: storage.name, state: "missing", at });
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      cleared = false;
      catalog.setCopy({ backupId, storage: storage.name, state: "damaged", at });
      session.logger.warn(
        `a part of the failed run ${backupId} lies in storage "${storage.name}" still, in ${directory}: ${error.message}`,
      );
    }
  }
  return cleared;
}

/** What failed runs left in storages that were away then: a whole backup, where one of them has its metadata.json after all. */
async function settleFailedRuns(session: Session, repository: Repository, catalog: Catalog): Promise<void> {
  for (const run of catalog.list({ status: ["failed"] }).backups) {
    const left = run.copies.filter(({ state }) => state === "damaged").map(({ storage }) => storage);
    const names = namesWithoutArchives(session).filter((name) => left.includes(name));
    if (run.host !== session.host || names.length === 0) continue;
    if (await adoptIfFinished({ session, repository, catalog, run }, names)) continue;
    const storages = await soonReachable(session, repository, names);
    await clearLeavings(session, catalog, run.id, run.storagePath, storages);
  }
}

/**
 * Clears what runs of this host left that died: called with the lock held, so nothing of this host can be running. Only
 * directories that this catalog knows as this host's own are touched, and only those that are no whole backups.
 */
export async function clearDeadRuns(session: Session, repository: Repository, catalog: Catalog): Promise<void> {
  // Before there are more of them: each storage that lets go of nothing is told of once.
  await settleFailedRuns(session, repository, catalog);
  await adoptFinishedRuns(session, repository, catalog);
  for (const run of runsUnderWay(session, catalog)) {
    await withdraw(session, repository, catalog, run);
  }
  const { temporary, progress } = repository.state;
  for (const name of await listDirectory(temporary)) await removeTree(path.join(temporary, name));
  // What was being written for `status`, and did not get its name any more.
  for (const name of await listDirectory(path.dirname(progress)))
    if (name.startsWith(`.${path.basename(progress)}.`))
      await removeFileIfExists(path.join(path.dirname(progress), name));
}

/** No run waits for a replica: what can't be cleared in it now is cleared by a later one. */
function patienceWith({ clock, signal }: Session, { primaryName }: Repository) {
  return (name: string): OperationOptions | undefined => (name === primaryName ? undefined : impatience(clock, signal));
}

function soonReachable(
  session: Session,
  repository: Repository,
  names: readonly string[],
): Promise<readonly Storage[]> {
  return inReachableStorages(repository, names, async (storage) => storage, patienceWith(session, repository));
}

async function withdraw(session: Session, repository: Repository, catalog: Catalog, run: CatalogBackup): Promise<void> {
  const names = namesWithoutArchives(session);
  const storages = await soonReachable(session, repository, names);
  const cleared = await clearLeavings(session, catalog, run.id, run.storagePath, storages);
  const at = session.clock.now().toISOString();
  const away = names.filter((name) => !storages.some((storage) => storage.name === name));
  for (const storage of away) catalog.setCopy({ backupId: run.id, storage, state: "damaged", at });
  await removeTree(indexDirectory(repository, run.id));
  catalog.fail(run.id, { code: "INTERRUPTED", message: "the run died before it was complete" }, at);
  const outcome = cleared && away.length === 0 ? "; its leavings were removed" : "";
  session.logger.warn(`an earlier run (${run.id}, process ${run.pid ?? "unknown"}) died${outcome}`);
}

/**
 * Runs of this host that were killed between the commit and the catalog: the storage is right, they are whole backups. Called with the
 * lock held.
 */
export async function adoptFinishedRuns(session: Session, repository: Repository, catalog: Catalog): Promise<void> {
  const names = namesWithoutArchives(session);
  for (const run of runsUnderWay(session, catalog)) await adoptIfFinished({ session, repository, catalog, run }, names);
}

/** Not always the primary has it: where that failed the run went on in a replica. Whichever has the metadata has all. */
async function adoptIfFinished(dead: DeadRun, names: readonly string[]): Promise<boolean> {
  const { session, repository, run } = dead;
  const patience = patienceWith(session, repository);
  const [first, ...others] = await storagesHolding(repository, names, run.storagePath, patience);
  if (first === undefined) return false;
  await adopt(dead, [first, ...others]);
  return true;
}

function runsUnderWay(session: Session, catalog: Catalog): readonly CatalogBackup[] {
  return catalog.list({ status: ["running", "pending"] }).backups.filter(({ host }) => host === session.host);
}

/** The metadata first: without them the rest is no backup. */
async function removeDirectory(storage: Storage, directory: string, patience: () => OperationOptions): Promise<void> {
  // Even where nothing lies there: it takes the folder along that was made for a first object which never came.
  await storage.remove(`${directory}/${METADATA_NAME}`, patience());
  const keys: string[] = [];
  for await (const { key } of storage.list(directory, patience())) keys.push(key);
  for (const key of keys) await storage.remove(key, patience());
}

interface DeadRun {
  readonly session: Session;
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly run: CatalogBackup;
}

/** As create does it after its last write: what builds on a backup that another host deleted meanwhile is none. */
async function adopt(
  { session, repository, catalog, run }: DeadRun,
  storages: readonly [Storage, ...Storage[]],
): Promise<void> {
  const stored = await readFinished(repository, storages, run);
  if (isBackupctlError(stored)) {
    const at = session.clock.now().toISOString();
    const copies = storages.map(({ name }) => ({ backupId: run.id, storage: name, state: "damaged" as const, at }));
    catalog.restoreUnreadable({ id: run.id, storagePath: run.storagePath, error: stored, notes: {}, copies });
    session.logger.warn(`an earlier run (${run.id}) died, and what it made can't be read: ${stored.message}`);
    return;
  }
  const { metadata, trusted, notes, keysSha256 } = stored;
  const { whole, gone } = await confirm(session, repository, storages, metadata.lineage.slice(0, -1));
  if (gone !== undefined) {
    session.logger.warn(`backup ${gone.id}, which the dead run ${metadata.id} builds on, was deleted meanwhile`);
    await withdraw(session, repository, catalog, run);
    return;
  }
  const wanted = session.loaded.config.storages.filter(({ name, role }) => whole.has(name) || role !== "archive");
  const copies = wanted.map(({ name }) => ({
    backupId: metadata.id,
    storage: name,
    state: whole.has(name) ? ("complete" as const) : ("pending" as const),
    at: metadata.completed_at,
  }));
  catalog.restoreFromStorage({ metadata, trusted, notes, copies, keysSha256 });
}

/**
 * The storages where all that a dead run built on is there still: only the first that answers tells of an ancestor that is gone, any
 * other one just lacks the copy. @throws why none answers
 */
async function confirm(
  session: Session,
  repository: Repository,
  storages: readonly Storage[],
  ancestors: readonly LineageMember[],
): Promise<{ readonly whole: ReadonlySet<string>; readonly gone?: LineageMember }> {
  const whole = new Set<string>();
  let failure: BackupctlError | undefined;
  const patience = patienceWith(session, repository);
  for (const storage of storages) {
    try {
      const gone = await findDeletedAncestor(storage, ancestors, patience(storage.name));
      if (gone === undefined) whole.add(storage.name);
      else if (whole.size === 0) return { whole, gone };
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      repository.leaveOut(storage.name, error);
      failure ??= error;
    }
  }
  if (whole.size === 0 && failure !== undefined) throw failure;
  return { whole };
}

/** What a run made, from the first storage where it can be read, or why nobody can use it: that must not keep the next run from being made. */
async function readFinished(
  repository: Repository,
  [storage, ...others]: readonly [Storage, ...Storage[]],
  run: CatalogBackup,
): Promise<StoredBackup | BackupctlError> {
  let problem: BackupctlError;
  try {
    const stored = await readBackup(repository, storage, run.storagePath);
    requirePlace(stored.metadata, { storagePath: run.storagePath, repositoryId: repository.id, id: run.id });
    if (!isBackupctlError(stored.problem, "BACKUP_CORRUPTED")) return stored;
    problem = stored.problem;
  } catch (error) {
    if (!isBackupctlError(error, "BACKUP_CORRUPTED") && !isBackupctlError(error, "UNSUPPORTED_FORMAT")) throw error;
    problem = error;
  }
  const [next, ...rest] = others;
  const elsewhere = next === undefined ? problem : await readFinished(repository, [next, ...rest], run);
  return isBackupctlError(elsewhere) ? problem : elsewhere;
}
