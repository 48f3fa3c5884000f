import * as path from "node:path/posix";
import { type Client, type FileInfo, FileType, FTPError } from "basic-ftp";
import { fileInTheWay, missingPlace } from "../network/folder-failures.ts";
import { asStorageError, denied, isRefusal } from "./errors.ts";
import type { Login } from "./login.ts";
import { download } from "./transfer.ts";

/** What commands say that look at files; each has the connection for itself while it lasts. */
export interface Place {
  readonly storage: string;
  readonly login: Login;
}

/** The size of a file; undefined where there is none, which is believed only if the folders on the way say so too. */
export async function sizeOf(place: Place, file: string): Promise<number | undefined> {
  try {
    return await place.login.client.size(file);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // What can't be read has its size all the same, if the way to it is open.
    const folder = path.dirname(file);
    if (!(await canEnter(place.login.client, folder))) await requireAbsence(place, folder);
    return undefined;
  }
}

export async function modifiedAt({ login }: Place, file: string): Promise<Date> {
  return await login.client.lastMod(file);
}

/** The entries of a folder; none for one that is not there. */
export async function entriesOf(place: Place, folder: string): Promise<readonly FileInfo[]> {
  const { client } = place.login;
  if (await canEnter(client, folder)) return await entriesHere(client);
  await requireAbsence(place, folder);
  return [];
}

/** The folder was entered before, because some servers take options in front of a name for a part of that name. */
async function entriesHere(client: Client): Promise<readonly FileInfo[]> {
  const entries = await client.list();
  // Where `-a` means nothing to the server it is the name of a file, and there is none.
  if (entries.length > 0 || client.availableListCommands[0] !== "LIST -a") return entries;
  client.availableListCommands = ["LIST"];
  const plain = await client.list();
  if (plain.length === 0) client.availableListCommands = ["LIST -a"];
  return plain;
}

/** What the folder that was entered lists under the name of this file. */
async function entryHere(client: Client, file: string): Promise<FileInfo | undefined> {
  return (await entriesHere(client)).find(({ name }) => name === path.basename(file));
}

async function canEnter(client: Client, folder: string): Promise<boolean> {
  try {
    await client.cd(folder);
    return true;
  } catch (error) {
    if (error instanceof FTPError && error.code >= 500) return false;
    throw error;
  }
}

/**
 * A server says 550 for what is missing and for what it keeps from this login. A folder that can't be entered is missing if one
 * above it, which can, does not list the next one.
 * @throws `STORAGE_NOT_FOUND` where the place itself is missing, `STORAGE_DENIED` where the folder is there.
 */
async function requireAbsence({ storage, login: { client, root } }: Place, folder: string): Promise<void> {
  for (let at = folder; at !== root; at = path.dirname(at)) {
    if (!(await canEnter(client, path.dirname(at)))) continue;
    const entry = await entryHere(client, at);
    if (entry?.type !== FileType.Directory) return;
    // Made by somebody since it was asked for.
    if (await canEnter(client, at)) return;
    throw denied(`storage "${storage}": the login may not enter ${at}`, { place: root });
  }
  throw missingPlace(storage, root);
}

/** Removes the file. One that is not there is as good as removed. */
export async function removeFile(place: Place, file: string): Promise<void> {
  await unlessAbsent(place, file, () => place.login.client.remove(file));
}

/** `length` bytes from `offset` of a file that has them; undefined for none that is gone. */
export async function readFile(
  place: Place,
  file: string,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Buffer | undefined> {
  if (length === 0) return Buffer.alloc(0);
  const bytes = await unlessAbsent(place, file, () => download(place.login.client, file, { offset, length }));
  if (bytes === undefined || bytes.length === length) return bytes;
  throw new Error(`the transfer ended after ${bytes.length} of ${length} bytes`);
}

/** @throws `STORAGE_DENIED` where the server refuses to do it with a file that is there. */
async function unlessAbsent<T>(place: Place, file: string, command: () => Promise<T>): Promise<T | undefined> {
  try {
    return await command();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if ((await sizeOf(place, file)) === undefined) return undefined;
    const { root } = place.login;
    const message = `storage "${place.storage}": the login may not do this with ${file}: ${error.message}`;
    throw denied(message, { place: root, cause: error });
  }
}

/** Removes the folders on the way to `key`, innermost first, as far as they are empty. Never the root. */
export async function removeEmptyFolders({ login: { client, root } }: Place, key: string): Promise<void> {
  for (let folder = path.dirname(key); folder !== "."; folder = path.dirname(folder)) {
    try {
      await client.removeEmptyDir(path.join(root, folder));
    } catch (error) {
      // Not empty, not there or not permitted: the object itself is gone, which is what counts.
      if (!(error instanceof FTPError)) throw error;
      if (await canEnter(client, path.join(root, folder))) return;
    }
  }
}

/** Makes the folders from `from` (which exists) to `folder`. One that somebody else makes at the same time is as good. */
export async function makeFolders(place: Place, from: string, folder: string): Promise<void> {
  const { client, root } = place.login;
  const names = path.relative(from, folder).split("/");
  for (const index of names.keys()) {
    const next = path.join(from, ...names.slice(0, index + 1));
    if (await canEnter(client, next)) continue;
    try {
      await client.send(`MKD ${next}`);
    } catch (error) {
      if (!(error instanceof FTPError)) throw error;
      if (await canEnter(client, next)) continue;
      if (!isRefusal(error) || !(await canEnter(client, path.dirname(next)))) throw error;
      if ((await entryHere(client, next))?.type === FileType.File) throw fileInTheWay(place.storage, next);
      const message = `storage "${place.storage}": the login may not make ${next}: ${error.message}`;
      throw denied(message, { place: root, cause: error });
    }
  }
}

/** @throws `STORAGE_NOT_FOUND` unless the folder of the storage can be entered. */
export async function requirePlace({ storage, login: { client, root } }: Place): Promise<void> {
  if (await canEnter(client, root)) return;
  for (let at = root; at !== "/"; at = path.dirname(at)) {
    if (!(await canEnter(client, path.dirname(at)))) continue;
    if ((await entryHere(client, at))?.type === FileType.File) throw fileInTheWay(storage, at);
    break;
  }
  throw missingPlace(storage, root);
}

/** A refusal to write into a folder that can be entered is one of permission. */
export async function whyNotWritten(
  { storage, login }: Place,
  { error, key, file }: { readonly error: unknown; readonly key: string; readonly file: string },
): Promise<unknown> {
  const place = login.root;
  if (!isRefusal(error) || !(await canEnter(login.client, path.dirname(file)))) return error;
  const told = asStorageError(error, { storage, place, doing: `write ${key}` });
  if ((told as { readonly code?: unknown }).code !== "STORAGE_FAILED") return told;
  return denied(`storage "${storage}" cannot write ${key}: ${error.message}`, { place, cause: error });
}
