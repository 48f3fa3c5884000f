import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { childrenFirst } from "../../domain/deletion.ts";
import { ancestorIdsOf } from "../../domain/known-backup.ts";
import { DELETED_NAME, METADATA_NAME } from "../../domain/object-names.ts";
import { CLOCK_TOLERANCE_MS } from "../../domain/timestamp.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import type { Storage } from "../../storage/storage.ts";
import { deniedRemoval } from "../delete/denied-removal.ts";
import {
  findHold,
  findPlaces,
  hasMetadata,
  markAll,
  neededAmong,
  type Place,
  readUnknown,
  removePlaces,
  statusBefore,
} from "../delete/steps.ts";
import { indexDirectory } from "../repository/index-cache.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnremovable } from "../repository/unremovable.ts";
import type { Session } from "../session.ts";

interface Removal {
  readonly session: Session;
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly storage: Storage;
  readonly going: readonly CatalogBackup[];
  /** For the log. */
  readonly detailOf: (id: BackupId) => Readonly<Record<string, unknown>>;
}

export interface RemovedCopies {
  readonly removed: readonly BackupId[];
  readonly bytes: number;
  /** What stayed against the plan, and why. */
  readonly failures: readonly { readonly backupId: BackupId; readonly error: BackupctlError }[];
  /** Why it was not gone on with. */
  readonly ended?: BackupctlError;
}

/**
 * Removes what is to go from one storage, children before their ancestors; what stays elsewhere remains a backup. Killed anywhere, the next
 * cleanup goes on.
 *
 * Order of effects: a trial object put and removed → catalog, the last copy `deleting`, another one `damaged` → `deleted.json` → the storage's clock compared, unknown
 * backups and notes read: a child or a hold that came meanwhile keeps what it needs → metadata.json → objects → `deleted.json` → catalog.
 */
export async function removeCopies(removal: Removal): Promise<RemovedCopies> {
  const { session, catalog } = removal;
  const going = childrenFirst(removal.going);
  const progress: Progress = { removed: [], begun: new Set(), failures: [], bytes: 0 };
  try {
    const found = await findPlaces([removal.storage], going);
    const denied = found[0] && (await deniedRemoval(found[0], session.signal));
    if (denied !== undefined) return { ...progress, failures: allStay(going, denied) };
    catalog.together(() => {
      for (const backup of going) begin(removal, backup);
    });
    await markAll(session, found);
    const places = await findPlaces([removal.storage], going);
    requireSameClock(session, places);
    await removeEach(removal, going, places, progress);
    const failed = new Set(progress.failures.map(({ backupId }) => backupId));
    await withdraw(
      removal,
      places.filter(({ backup }) => failed.has(backup.id)),
      progress.begun,
    );
    return progress;
  } catch (error) {
    // What is marked and still whole is judged anew by the next cleanup; marks lapse.
    for (const backup of going) if (!progress.begun.has(backup.id)) forget(removal, backup);
    session.signal.throwIfAborted();
    if (!isBackupctlError(error)) throw error;
    return { ...progress, ended: error };
  }
}

/** What was found at the first holds for each of them. */
function allStay(going: readonly CatalogBackup[], { message, hint, cause }: BackupctlError): RemovedCopies["failures"] {
  const what = `${count(going.length, "backup")} that should go ${going.length === 1 ? "stays" : "stay"}`;
  const details = { ...(hint === undefined ? {} : { hint }), cause };
  const error = new BackupctlError("STORAGE_DENIED", `${what}: ${message}`, details);
  return going.map(({ id }) => ({ backupId: id, error }));
}

interface Progress extends RemovedCopies {
  removed: BackupId[];
  bytes: number;
  failures: { backupId: BackupId; error: BackupctlError }[];
  /** Of which something may be gone already. */
  readonly begun: Set<BackupId>;
}

async function removeEach(
  removal: Removal,
  going: readonly CatalogBackup[],
  places: readonly Place[],
  progress: Progress,
): Promise<void> {
  const kept = await keptByNews(removal, places);
  for (const backup of going) {
    removal.session.signal.throwIfAborted();
    try {
      const reason = kept.get(backup.id) ?? neededByFailed(backup, progress.failures, going);
      if (reason !== undefined) throw reason;
      progress.begun.add(backup.id);
      const place = places.find((each) => each.backup === backup);
      if (place !== undefined) progress.bytes += await removePlaces([place]);
      await finish(removal, backup);
      progress.removed.push(backup.id);
    } catch (error) {
      // It says nothing of the others.
      if (!isUnremovable(error)) throw error;
      progress.failures.push({ backupId: backup.id, error });
    }
  }
}

/** Has another storage anything of it? What was never copied there is no copy. */
function isLast({ copies }: CatalogBackup, storage: Storage): boolean {
  return !copies.some(
    ({ storage: name, state }) => name !== storage.name && state !== "pending" && state !== "missing",
  );
}

function begin({ session, catalog, storage }: Removal, backup: CatalogBackup): void {
  const at = session.clock.now().toISOString();
  if (isLast(backup, storage)) catalog.setStatus(backup.id, "deleting");
  else catalog.setCopy({ backupId: backup.id, storage: storage.name, state: "damaged", at });
}

async function finish(removal: Removal, backup: CatalogBackup): Promise<void> {
  const { session, repository, catalog, storage, detailOf } = removal;
  const last = isLast(backup, storage);
  const { id, type, mode, timestamp, storagePath } = backup;
  const detail = { type, mode, timestamp, storage_path: storagePath, storage: storage.name, ...detailOf(id) };
  const action = last ? "backup:delete" : "copy:remove";
  if (last) await removeTree(indexDirectory(repository, id));
  catalog.together(() => {
    const at = session.clock.now().toISOString();
    catalog.addEvent({ at, action, user: session.user, backupId: id, status: "completed", detail });
    if (last) catalog.remove(id);
    else catalog.removeCopy(id, storage.name);
  });
}

/** By the marks that were just put: a clock that jumped would let everything expire. */
function requireSameClock({ clock }: Session, places: readonly Place[]): void {
  const now = clock.now();
  for (const { storage, backup, objects } of places) {
    const mark = objects.find(({ key }) => key === `${backup.storagePath}/${DELETED_NAME}`);
    if (mark === undefined || Math.abs(mark.modifiedAt.getTime() - now.getTime()) <= CLOCK_TOLERANCE_MS) continue;
    throw new BackupctlError(
      "CLOCK_SKEWED",
      `this host's clock (${now.toISOString()}) is not that of storage "${storage.name}" (${mark.modifiedAt.toISOString()})`,
      { hint: "Set the clock of this host; `timedatectl` shows whether it is synchronised. Nothing was removed." },
    );
  }
}

/** What came since the decision: another host's backup that builds on one of these, or a hold. */
async function keptByNews(
  { session, repository, catalog, storage }: Removal,
  places: readonly Place[],
): Promise<ReadonlyMap<BackupId, BackupctlError>> {
  const kept = new Map<BackupId, BackupctlError>();
  const there = places.filter((place) => hasMetadata(place) && place.backup.committed);
  const ids = new Set(there.map(({ backup }) => backup.id));
  const known = catalog
    .list({})
    .backups.filter(({ copies }) => copies.some(({ storage: name }) => name === storage.name));
  const knownPaths = new Set(known.map(({ storagePath }) => storagePath));
  if (ids.size === 0) return kept;
  for await (const metadata of readUnknown(session, [storage], knownPaths)) {
    if (neededAmong(metadata, ids) === undefined) continue;
    for (const { id } of metadata.lineage)
      if (ids.has(id)) kept.set(id, stays(id, `is needed by ${metadata.id}, which was made meanwhile`));
  }
  for (const place of there) {
    const hold = await findHold(repository, place);
    const { id } = place.backup;
    if (hold !== undefined) kept.set(id, stays(id, `was put on hold meanwhile: ${hold}`));
  }
  return kept;
}

function neededByFailed(
  backup: CatalogBackup,
  failures: RemovedCopies["failures"],
  going: readonly CatalogBackup[],
): BackupctlError | undefined {
  const failed = failures.find(({ backupId }) =>
    going.some((other) => other.id === backupId && ancestorIdsOf(other).includes(backup.id)),
  );
  return failed === undefined
    ? undefined
    : stays(backup.id, `is needed by ${failed.backupId}, which could not be removed`);
}

function stays(id: BackupId, why: string): BackupctlError {
  return new BackupctlError("RETENTION_POLICY_VIOLATION", `backup ${id} ${why}`, {
    hint: "It stays; the next cleanup decides anew.",
  });
}

/** Takes the marks back from what stays. One whose metadata are gone has failed half way: its mark says so to the next cleanup. */
async function withdraw(removal: Removal, places: readonly Place[], begun: ReadonlySet<BackupId>): Promise<void> {
  const { storage } = removal;
  for (const place of places.filter(hasMetadata)) {
    const { id, storagePath } = place.backup;
    if (begun.has(id) && (await storage.stat(`${storagePath}/${METADATA_NAME}`)) === undefined) continue;
    await storage.remove(`${storagePath}/${DELETED_NAME}`);
    forget(removal, place.backup);
  }
}

/** The catalog says again what it said before. */
function forget({ catalog, storage }: Removal, backup: CatalogBackup): void {
  const copy = backup.copies.find(({ storage: name }) => name === storage.name);
  if (isLast(backup, storage)) catalog.setStatus(backup.id, statusBefore(backup));
  else if (copy !== undefined)
    catalog.setCopy({ backupId: backup.id, storage: storage.name, state: copy.state, at: copy.at });
}
