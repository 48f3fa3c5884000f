import { type Dirent, promises as fs, type Stats } from "node:fs";
import * as path from "node:path";
import type { Clock } from "../../platform/clock.ts";
import { errnoOf } from "../../platform/files.ts";
import { isObjectName, UNFINISHED_PREFIX } from "../object-key.ts";
import type { StoredObject } from "../storage.ts";

/** Longer than any put takes, so that no part of a living process is swept. */
const STALE_AFTER_MS = 24 * 60 * 60 * 1000;
const STATS_AT_ONCE = 64;

interface Sweeping {
  readonly clock: Clock;
  readonly removeFile: (file: string) => Promise<void>;
}

/**
 * Every object below `folder`. Files that are no objects (other characters in their names, links, devices) belong to
 * someone else and are passed over; a name that is not UTF-8 decodes to characters outside the grammar, so it is too.
 * Parts that dead processes left are removed in passing, where this user may.
 */
export async function* walkObjects(
  root: string,
  folder: string,
  { clock, removeFile }: Sweeping,
  signal: AbortSignal | undefined,
): AsyncIterable<StoredObject> {
  if (await isBehindLink(root, path.join(root, folder))) return;
  const folders = [folder];
  for (let current = folders.pop(); current !== undefined; current = folders.pop()) {
    signal?.throwIfAborted();
    const entries = await readDirectory(path.join(root, current));
    const files: string[] = [];
    for (const entry of entries) {
      const key = current === "" ? entry.name : `${current}/${entry.name}`;
      if (entry.name.startsWith(UNFINISHED_PREFIX)) await sweep(root, key, { clock, removeFile });
      else if (!isObjectName(entry.name)) continue;
      else if (entry.isDirectory()) folders.push(key);
      else if (entry.isFile()) files.push(key);
    }
    yield* statAll(root, files);
  }
}

async function* statAll(root: string, keys: readonly string[]): AsyncIterable<StoredObject> {
  for (let start = 0; start < keys.length; start += STATS_AT_ONCE) {
    const batch = keys.slice(start, start + STATS_AT_ONCE);
    const found = await Promise.all(
      batch.map(async (key) => ({ key, stats: await statIfThere(path.join(root, key)) })),
    );
    for (const { key, stats } of found) {
      // Gone since the directory was read: someone removed it, and it is no longer an object.
      if (stats?.isFile()) yield { key, sizeBytes: stats.size, modifiedAt: stats.mtime };
    }
  }
}

async function readDirectory(directory: string): Promise<Dirent[]> {
  try {
    return await fs.readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function statIfThere(file: string): Promise<Stats | undefined> {
  try {
    return await fs.lstat(file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Best effort: a reader without write permission lists all the same. */
async function sweep(root: string, key: string, { clock, removeFile }: Sweeping): Promise<void> {
  try {
    const file = path.join(root, key);
    const stats = await fs.lstat(file);
    if (!stats.isFile() || clock.now().getTime() - stats.mtimeMs < STALE_AFTER_MS) return;
    await removeFile(file);
    await removeEmptyFolders(root, key);
  } catch {
    // Swept by someone else, or not ours to sweep.
  }
}

/** Removes the folders on the way to `key`, innermost first, as far as they are empty. Never the root. */
export async function removeEmptyFolders(root: string, key: string): Promise<void> {
  for (let folder = path.dirname(key); folder !== "."; folder = path.dirname(folder)) {
    try {
      await fs.rmdir(path.join(root, folder));
    } catch (error) {
      const errno = errnoOf(error) ?? "";
      // Not empty, or someone else was quicker, or it is a mount point: the object itself is gone, which is what counts.
      if (["ENOTEMPTY", "EEXIST", "EBUSY", "EACCES", "EPERM"].includes(errno)) return;
      if (errno !== "ENOENT") throw error;
    }
  }
}

/** Whether a folder is a link, or lies behind one below `root`, which is a real path. Of one that is missing, what there is of its way counts. */
export async function isBehindLink(root: string, folder: string): Promise<boolean> {
  for (let current = folder; current.length > root.length; current = path.dirname(current)) {
    try {
      return (await fs.realpath(current)) !== current;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return false;
}

export function isMissing(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR";
}
