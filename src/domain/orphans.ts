import { addDuration, type FiniteDuration } from "./duration.ts";
import { directoryState, roleOf } from "./object-names.ts";

/** An object in a backup's directory, by its name there. */
interface SeenObject {
  readonly name: string;
  readonly modifiedAt: Date;
}

/** All that lies in one storage, by directories of backups. */
type SeenStorage = ReadonlyMap<string, readonly SeenObject[]>;

/**
 * Directories that hold no backup, and in which nothing has been written for `grace`: what runs and deletions left that died. All
 * storages must be given: a backup may lie whole in one of them only.
 */
export function findOrphans(storages: readonly SeenStorage[], grace: FiniteDuration, now: Date): readonly string[] {
  const directories = new Set(storages.flatMap((storage) => [...storage.keys()]));
  return [...directories].filter((directory) => {
    const objects = storages.flatMap((storage) => storage.get(directory) ?? []);
    return isOrphaned(objects.map(({ name }) => name)) && isLeftAlone(objects, grace, now);
  });
}

/** No backup, and nothing that somebody else put there. */
function isOrphaned(names: readonly string[]): boolean {
  const state = directoryState(names);
  return (state === "unfinished" || state === "deleting") && names.every((name) => roleOf(name) !== "unknown");
}

/** None of them was written within `grace` before `now`, or after it. */
export function isLeftAlone(
  objects: readonly { readonly modifiedAt: Date }[],
  grace: FiniteDuration,
  now: Date,
): boolean {
  const latest = addDuration(now, grace, -1);
  return latest !== undefined && objects.every(({ modifiedAt }) => modifiedAt.getTime() < latest.getTime());
}
