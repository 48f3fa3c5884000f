import * as path from "node:path/posix";
import { type FileInfo, FileType } from "basic-ftp";
import type { Clock } from "../../platform/clock.ts";
import { isObjectName, UNFINISHED_PREFIX } from "../object-key.ts";
import type { StoredObject } from "../storage.ts";
import { isRefusal } from "./errors.ts";
import { entriesOf, modifiedAt, type Place, removeEmptyFolders, removeFile } from "./files.ts";

/** Longer than any put takes, so that no part of a living process is swept. */
const STALE_AFTER_MS = 24 * 60 * 60 * 1000;
/** So many are asked for their times at once, as far as there are connections. */
const FILES_AT_ONCE = 64;

interface Walk {
  /** Runs `work` with a connection of its own. */
  readonly use: <T>(work: (place: Place) => Promise<T>) => Promise<T>;
  readonly clock: Clock;
}

/**
 * Every object below `folder`. Files that are no objects (other characters in their names, links) belong to someone else and are
 * passed over. Parts that dead processes left are removed in passing, where this login may.
 */
export async function* walkObjects(walk: Walk, folder: string): AsyncIterable<StoredObject> {
  const folders = [folder];
  for (let current = folders.pop(); current !== undefined; current = folders.pop()) {
    const { files, below } = await lookInto(walk, current);
    folders.push(...below);
    for (let start = 0; start < files.length; start += FILES_AT_ONCE) {
      const batch = files.slice(start, start + FILES_AT_ONCE);
      const found = await Promise.all(batch.map((file) => walk.use((place) => asObject(place, file))));
      for (const object of found) if (object !== undefined) yield object;
    }
  }
}

interface ListedFile {
  readonly key: string;
  readonly entry: FileInfo;
}

async function lookInto(
  { use, clock }: Walk,
  folder: string,
): Promise<{ readonly files: readonly ListedFile[]; readonly below: readonly string[] }> {
  const files: ListedFile[] = [];
  const below: string[] = [];
  for (const entry of await use((place) => entriesOf(place, path.join(place.login.root, folder)))) {
    const key = path.join(folder, entry.name);
    if (entry.name.startsWith(UNFINISHED_PREFIX)) await use((place) => sweep(place, { key, entry, clock }));
    else if (!isObjectName(entry.name)) continue;
    else if (entry.type === FileType.Directory) below.push(key);
    else if (entry.type === FileType.File) files.push({ key, entry });
  }
  return { files, below };
}

/** LIST tells times to the minute, in a time zone of its own; MLSD, where a server has it, as they are. */
async function asObject(place: Place, { key, entry }: ListedFile): Promise<StoredObject | undefined> {
  try {
    const at = entry.modifiedAt ?? (await modifiedAt(place, path.join(place.login.root, key)));
    return { key, sizeBytes: entry.size, modifiedAt: at };
  } catch (error) {
    // Gone since the folder was read: someone removed it, and it is no longer an object.
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** Best effort: a reader without write permission lists all the same. */
async function sweep(
  place: Place,
  { key, entry, clock }: { readonly key: string; readonly entry: FileInfo; readonly clock: Clock },
): Promise<void> {
  if (entry.type !== FileType.File) return;
  try {
    const file = path.join(place.login.root, key);
    const at = entry.modifiedAt ?? (await modifiedAt(place, file));
    if (clock.now().getTime() - at.getTime() < STALE_AFTER_MS) return;
    await removeFile(place, file);
    await removeEmptyFolders(place, key);
  } catch (error) {
    // Swept by someone else, or not ours to sweep.
    if (!isRefusal(error)) throw error;
  }
}
