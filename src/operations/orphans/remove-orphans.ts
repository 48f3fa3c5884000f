import type { Catalog } from "../../catalog/catalog.ts";
import { count } from "../../domain/count.ts";
import { DELETED_NAME } from "../../domain/object-names.ts";
import { findOrphans, isLeftAlone } from "../../domain/orphans.ts";
import { CLOCK_TOLERANCE_MS } from "../../domain/timestamp.ts";
import { isBackupctlError } from "../../errors.ts";
import type { Storage, StoredObject } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import { putDeletionMark } from "../repository/deletion-mark.ts";
import { impatience } from "../repository/impatience.ts";
import { listBackupDirectories, type Repository } from "../repository/repository.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import { namesWithoutArchives, type Session } from "../session.ts";

const PARALLEL_REMOVES = 8;

/**
 * Removes what runs and deletions of any host left that died, once `orphan_grace` is over. Nothing while a storage that
 * runs write to can't be listed: a whole backup may be there. What can't be removed is warned about, and found again the next time.
 *
 * Order of effects: `deleted.json` → listed again: where something is new the run is alive, and all stays → objects → `deleted.json`.
 * Directories with names that no run gives are somebody's own, and stay.
 * A run lists its directory before it writes metadata.json: one that lives still sees the mark, or has written and is seen.
 */
export async function removeOrphans(session: Session, repository: Repository, catalog: Catalog): Promise<void> {
  if (session.signal.aborted) return;
  try {
    const storages = await listStorages(session, repository);
    const found = findOrphans([...storages.values()], session.loaded.config.orphanGrace, session.clock.now());
    const needed = found.length === 0 ? new Set() : pathsOfLineages(catalog);
    for (const directory of found.filter((path) => !needed.has(path))) {
      const holders = [...storages].filter(([, directories]) => directories.has(directory));
      for (const [storage, directories] of holders) {
        const names = (directories.get(directory) ?? []).map(({ name }) => name);
        if (!(await removeDirectory(session, catalog, storage, { directory, names }))) break;
      }
    }
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    session.logger.warn(`what died runs left in storage stays there for now: ${error.message}`);
  }
}

/** Every storage that runs write to; none if one of them is away. */
async function listStorages(session: Session, repository: Repository) {
  const storages = new Map<Storage, ReadonlyMap<string, readonly { name: string; modifiedAt: Date }[]>>();
  for (const name of namesWithoutArchives(session)) {
    try {
      const options = impatience(session.clock, session.signal);
      const storage = await repository.storage(name, options);
      const see = (object: string, { modifiedAt }: StoredObject) => ({ name: object, modifiedAt });
      storages.set(storage, await listBackupDirectories(storage, see, options));
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      session.logger.debug(`what died runs may have left is not looked for: ${error.message}`);
      return new Map<never, never>();
    }
  }
  return storages;
}

/** What is left of a lost backup that others build on is damage, which is reported and never removed unasked. */
function pathsOfLineages(catalog: Catalog): ReadonlySet<string> {
  return new Set(catalog.list({}).backups.flatMap(({ metadata }) => metadata?.lineage.map(({ path }) => path) ?? []));
}

/** A directory, and the names that were seen there first. */
interface Orphan {
  readonly directory: string;
  readonly names: readonly string[];
}

/** False if it stays: somebody writes there, or what time it is in the storage is not certain. */
async function removeDirectory(session: Session, catalog: Catalog, storage: Storage, orphan: Orphan): Promise<boolean> {
  session.signal.throwIfAborted();
  const { directory, names } = orphan;
  const mark = `${directory}/${DELETED_NAME}`;
  // A deletion that died has its own, which stays as long as anything does.
  const isMarked = names.includes(DELETED_NAME);
  if (!isMarked) await putDeletionMark(session, storage, directory, undefined);
  const objects: StoredObject[] = [];
  let marked: StoredObject | undefined;
  for await (const object of storage.list(directory)) {
    if (object.key === mark) marked = object;
    else objects.push(object);
  }
  const goes =
    marked !== undefined &&
    holdsOnly(orphan, objects) &&
    (isMarked || isLeftAloneSince(session, objects, marked.modifiedAt));
  if (goes) await mapInParallel(objects, PARALLEL_REMOVES, ({ key }) => storage.remove(key));
  if (goes || !isMarked) await storage.remove(mark);
  if (goes) record(session, catalog, storage, directory, objects);
  return goes;
}

/** What came meanwhile may be a backup that somebody copies back, whatever its times say; what lies deeper is not of a run. */
function holdsOnly({ directory, names }: Orphan, objects: readonly StoredObject[]): boolean {
  return objects.every(({ key }) => names.includes(key.slice(directory.length + 1)));
}

/** By the storage's own clock, unless it is another one than this host's. */
function isLeftAloneSince({ clock, loaded }: Session, objects: readonly StoredObject[], now: Date): boolean {
  const isSure = Math.abs(now.getTime() - clock.now().getTime()) <= CLOCK_TOLERANCE_MS;
  return isSure && isLeftAlone(objects, loaded.config.orphanGrace, now);
}

function record(
  session: Session,
  catalog: Catalog,
  storage: Storage,
  directory: string,
  objects: readonly StoredObject[],
): void {
  const bytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  session.logger.warn(
    `a run that died had left ${count(objects.length, "object")} in ${directory} of storage "${storage.name}": removed`,
  );
  catalog.addEvent({
    at: session.clock.now().toISOString(),
    action: "orphan:remove",
    user: session.user,
    status: "completed",
    detail: { storage: storage.name, storage_path: directory, objects: objects.length, bytes },
  });
}
