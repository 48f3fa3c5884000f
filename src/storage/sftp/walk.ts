import * as path from "node:path/posix";
import type { Clock } from "../../platform/clock.ts";
import { isObjectName, UNFINISHED_PREFIX } from "../object-key.ts";
import type { StoredObject } from "../storage.ts";
import { hasStatus } from "./errors.ts";
import { type Entry, look, readFolder, remove, unlessMissing } from "./files.ts";
import type { Attributes, Session } from "./session.ts";

/** Longer than any put takes, so that no part of a living process is swept. */
const STALE_AFTER_MS = 24 * 60 * 60 * 1000;
const FOLDERS_AT_ONCE = 8;

interface Walk {
  readonly session: Session;
  readonly root: string;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/**
 * Every object below `folder`. Files that are no objects (other characters in their names, links, devices) belong to someone
 * else and are passed over. Parts that dead processes left are removed in passing, where this login may.
 */
export async function* walkObjects(walk: Walk, folder: string): AsyncIterable<StoredObject> {
  const folders = [folder];
  while (folders.length > 0) {
    walk.signal?.throwIfAborted();
    const read = await Promise.all(folders.splice(0, FOLDERS_AT_ONCE).map((one) => lookInto(walk, one)));
    for (const { objects, below } of read) {
      folders.push(...below);
      yield* objects;
    }
  }
}

async function lookInto(
  walk: Walk,
  folder: string,
): Promise<{ readonly objects: readonly StoredObject[]; readonly below: readonly string[] }> {
  const objects: StoredObject[] = [];
  const below: string[] = [];
  for (const { name, facts } of await entriesOf(walk, folder)) {
    const key = path.join(folder, name);
    if (name.startsWith(UNFINISHED_PREFIX)) await sweep(walk, key, facts);
    else if (!isObjectName(name)) continue;
    else if (facts.isDirectory()) below.push(key);
    else if (facts.isFile()) objects.push(asObject(key, facts));
  }
  return { objects, below };
}

export function asObject(key: string, facts: Attributes): StoredObject {
  return { key, sizeBytes: facts.size, modifiedAt: new Date(facts.mtime * 1000) };
}

/** A folder that is gone since it was seen has nothing in it. */
async function entriesOf({ session, root }: Walk, folder: string): Promise<readonly Entry[]> {
  const entries = (await unlessMissing(readFolder(session, path.join(root, folder)))) ?? [];
  return await Promise.all(entries.map((entry) => withKind(session, path.join(root, folder), entry)));
}

/** Some servers list names without saying what they are. */
async function withKind(session: Session, folder: string, entry: Entry): Promise<Entry> {
  if ((entry.facts.mode as number | undefined) !== undefined || !isObjectName(entry.name)) return entry;
  return { name: entry.name, facts: (await look(session, path.join(folder, entry.name))) ?? entry.facts };
}

/** Best effort: a reader without write permission lists all the same. */
async function sweep({ session, root, clock }: Walk, key: string, facts: Attributes): Promise<void> {
  if (!facts.isFile() || clock.now().getTime() - facts.mtime * 1000 < STALE_AFTER_MS) return;
  try {
    await remove(session, path.join(root, key));
    await removeEmptyFolders(session, root, key);
  } catch {
    // Swept by someone else, or not ours to sweep.
  }
}

/** Removes the folders on the way to `key`, innermost first, as far as they are empty. Never the root. */
export async function removeEmptyFolders(session: Session, root: string, key: string): Promise<void> {
  for (let folder = path.dirname(key); folder !== "."; folder = path.dirname(folder)) {
    try {
      await session.request((sftp, done) => sftp.rmdir(path.join(root, folder), (error) => done(error, undefined)));
    } catch (error) {
      // Not empty, or a mount point, or not permitted: the object itself is gone, which is what counts.
      if (hasStatus(error, "failure", "permissionDenied")) return;
      if (!hasStatus(error, "noSuchFile")) throw error;
    }
  }
}
