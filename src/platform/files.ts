import { randomBytes } from "node:crypto";
import { constants, promises as fs } from "node:fs";
import * as path from "node:path";
import { withRoom } from "./leavings.ts";

/**
 * Writes a file so that a crash at any point leaves the old content or the new one: written beside, flushed, renamed,
 * directory flushed.
 */
export async function writeFileAtomically(file: string, bytes: Uint8Array | string, mode = 0o600): Promise<void> {
  await replaceFile(file, bytes, { mode, flush: true });
  await syncDirectory(path.dirname(file));
}

/** Writes a file so that who reads it finds the old content or the new one. Unless flushed, a crash of the machine may leave neither. */
export async function replaceFile(
  file: string,
  bytes: Uint8Array | string,
  { mode, flush }: { readonly mode: number; readonly flush: boolean },
): Promise<void> {
  const temporary = path.join(
    path.dirname(file),
    `.${withRoom(path.basename(file))}.${randomBytes(6).toString("hex")}`,
  );
  try {
    await fs.writeFile(temporary, bytes, { flag: "wx", mode, flush });
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
}

/** Flushes a directory's own entries; a file system that can't is taken at its word. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.open(directory, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (!["EINVAL", "ENOTSUP", "EPERM", "EBADF"].includes(errnoOf(error) ?? "")) throw error;
  } finally {
    await handle.close();
  }
}

/** Removes a file; one that is gone already is success. */
export async function removeFileIfExists(file: string): Promise<void> {
  await fs.rm(file, { force: true });
}

/** Gives a file a second name, which outlives the first. False if there is no such file, or the file system has no such thing. */
export async function linkFile(file: string, name: string): Promise<boolean> {
  try {
    await fs.link(file, name);
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EPERM", "EXDEV", "ENOTSUP"].includes(errnoOf(error) ?? "")) return false;
    throw error;
  }
}

/** A pipe in a file's place would wait for its writer for ever, and no signal could end that. */
export const READ_WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;

/** The bytes of an ordinary file; a pipe or a device is an error, of which no end might come. */
export async function readOrdinaryFile(file: string): Promise<Buffer> {
  const handle = await fs.open(file, READ_WITHOUT_WAITING);
  try {
    if (!(await handle.stat()).isFile()) throw new Error(`${file} is not a file`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** As `readOrdinaryFile`; `undefined` if there is no such file, or can be none of that name. */
export async function readFileIfExists(file: string): Promise<Buffer | undefined> {
  try {
    return await readOrdinaryFile(file);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A directory that only this user may enter, with its parents. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  await makeDirectory(directory, 0o700);
}

/**
 * Makes a directory and those above it that are missing, and gives the topmost that it made. Node's own recursive mkdir never ends
 * where a parent denies that the name can be, as /proc does.
 */
export async function makeDirectory(directory: string, mode = 0o777): Promise<string | undefined> {
  let topmost: string | undefined;
  for (let attempt = 0; ; attempt++) {
    try {
      await fs.mkdir(directory, { mode });
      return topmost ?? directory;
    } catch (error) {
      if (errnoOf(error) === "EEXIST" && (await fs.stat(directory)).isDirectory()) return topmost;
      // Another process may remove an empty parent meanwhile: it is made again, a few times.
      if (errnoOf(error) !== "ENOENT" || attempt === 5 || path.dirname(directory) === directory) throw error;
      topmost = (await makeDirectory(path.dirname(directory), mode)) ?? topmost;
    }
  }
}

/** Takes back what `makeDirectory(directory)` made, unless something came to be in it. `topmost` is what that returned. */
export async function unmakeDirectory(directory: string, topmost: string | undefined): Promise<void> {
  if (topmost === undefined) return;
  for (let made = directory; made.length >= topmost.length; made = path.dirname(made)) {
    try {
      await fs.rmdir(made);
    } catch (error) {
      if (errnoOf(error) === "ENOTEMPTY" || errnoOf(error) === "EEXIST") return;
      // Somebody else took it back: what is above it is still ours.
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }
}

/** Names in a directory; none if it does not exist. */
export async function listDirectory(directory: string): Promise<readonly string[]> {
  try {
    return await fs.readdir(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Gives a file another name in its own file system; nothing happens if there is no such file. */
export async function moveFileIfExists(from: string, to: string): Promise<void> {
  try {
    await fs.rename(from, to);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

/** Whether the name itself is a symlink; what lies above it may be. */
export async function isSymlink(file: string): Promise<boolean> {
  return fs.lstat(file).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
}

/** Where a path leads: without the symlinks in what there is of it. A link to nothing leads nowhere, and stays. */
export async function realPlace(place: string): Promise<string> {
  const missing: string[] = [];
  for (let known = path.resolve(place); ; known = path.dirname(known)) {
    try {
      return path.join(await fs.realpath(known), ...missing);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "ENOTDIR") throw error;
      missing.unshift(path.basename(known));
    }
  }
}

/** Whether there is anything of that name. */
export async function fileExists(file: string): Promise<boolean> {
  try {
    await fs.lstat(file);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return false;
    throw error;
  }
}
