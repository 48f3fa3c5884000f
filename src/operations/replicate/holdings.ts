import { copyDefect, type SeenObjects } from "../../domain/copies.ts";
import { DELETED_NAME, METADATA_NAME, splitObjectKey } from "../../domain/object-names.ts";
import type { Storage } from "../../storage/storage.ts";
import { listObjects } from "../repository/lineage-check.ts";
import type { CommittedBackup } from "./committed.ts";

/** What lies in one storage, by directories of backups. */
export interface Holding {
  readonly storage: Storage;
  readonly directories: ReadonlyMap<string, SeenObjects>;
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

export function seenIn({ directories }: Holding, { storagePath }: Pick<CommittedBackup, "storagePath">): SeenObjects {
  return directories.get(storagePath) ?? NOTHING;
}

export function holds(holding: Holding, backup: Pick<CommittedBackup, "storagePath">): boolean {
  return seenIn(holding, backup).has(METADATA_NAME);
}

export function isMarkedDeleted(holding: Holding, backup: Pick<CommittedBackup, "storagePath">): boolean {
  return seenIn(holding, backup).has(DELETED_NAME);
}

/** By names and sizes, its ancestors left aside. */
export function isWholeIn(holding: Holding, backup: CommittedBackup): boolean {
  return copyDefect(backup.metadata, seenIn(holding, backup)) === undefined;
}
