import type { BackupMetadata } from "../../domain/backup.ts";
import { copyDefect, type SeenObjects } from "../../domain/copies.ts";
import { DELETED_NAME, METADATA_NAME, parseNumberedName, splitObjectKey } from "../../domain/object-names.ts";
import type { Storage } from "../../storage/storage.ts";
import { listObjects } from "../repository/lineage-check.ts";

/** What lies in one storage, by directories of backups. */
export interface Holding {
  readonly storage: Storage;
  readonly directories: ReadonlyMap<string, SeenObjects>;
}

/** Its directory is the same in every storage. */
interface Placed {
  readonly storagePath: string;
}

const NOTHING: SeenObjects = new Map();

export async function seeAll(storage: Storage): Promise<Holding> {
  const directories = new Map<string, Map<string, number>>();
  for await (const { key, sizeBytes } of storage.list("")) {
    const split = splitObjectKey(key);
    if (split === undefined) continue;
    const seen = directories.get(split.directory) ?? new Map<string, number>();
    directories.set(split.directory, seen.set(split.name, sizeBytes));
  }
  return { storage, directories };
}

export async function seeDirectories(storage: Storage, wanted: readonly string[]): Promise<Holding> {
  const directories = new Map<string, SeenObjects>();
  for (const directory of wanted) directories.set(directory, await listObjects(storage, directory));
  return { storage, directories };
}

export function seenIn({ directories }: Holding, { storagePath }: Placed): SeenObjects {
  return directories.get(storagePath) ?? NOTHING;
}

export function holds(holding: Holding, backup: Placed): boolean {
  return seenIn(holding, backup).has(METADATA_NAME);
}

export function isMarkedDeleted(holding: Holding, backup: Placed): boolean {
  return seenIn(holding, backup).has(DELETED_NAME);
}

/** By names and sizes, its ancestors left aside. */
export function isWholeIn(holding: Holding, backup: Placed & { readonly metadata: BackupMetadata }): boolean {
  return copyDefect(backup.metadata, seenIn(holding, backup)) === undefined;
}

/** Keys objects and notes that any of the storages has: what one of them has lost only the others can tell. */
export function numberedNames(holdings: readonly Holding[], backup: Placed): readonly string[] {
  const names = holdings.flatMap((holding) => [...seenIn(holding, backup).keys()]);
  return [...new Set(names)].filter((name) => parseNumberedName(name) !== undefined).sort();
}
