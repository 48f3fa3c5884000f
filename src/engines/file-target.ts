import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { requireFileName } from "../domain/artifact.ts";
import { BackupctlError } from "../errors.ts";
import { errnoOf, listDirectory, makeDirectory, syncDirectory } from "../platform/files.ts";
import { withRoom } from "../platform/leavings.ts";
import type { EngineContext, RestoreOutcome, StreamRestore, TargetState } from "./engine.ts";

/** Restoring a stream into one ordinary file: written beside it, checked, then moved into its place. */

interface ExistingFile {
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** The link is replaced. What it points to stays as it is, whoever put the link there. */
  readonly isLink: boolean;
}

/** A link to a file has what that file has. @throws `RESTORE_FAILED` if something else than a file is there. */
export async function existingFile(file: string): Promise<ExistingFile | undefined> {
  try {
    const own = await fs.lstat(file);
    const isLink = own.isSymbolicLink();
    const found = isLink ? await fs.stat(file).catch(() => undefined) : own;
    if (found === undefined) return { sizeBytes: 0, mode: 0o600, uid: own.uid, gid: own.gid, isLink };
    if (!found.isFile()) {
      throw new BackupctlError("RESTORE_FAILED", `${file} is there and is not a file`, {
        hint: "Give another place with --to.",
      });
    }
    return { sizeBytes: found.size, mode: found.mode & 0o7777, uid: found.uid, gid: found.gid, isLink };
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** `to` as a file: a folder stands for a file of the given name in it. @throws `BACKUP_CORRUPTED` for a name that leads elsewhere */
export async function fileAt(to: string, name: string): Promise<string> {
  const place = path.resolve(to);
  const inFolder = path.join(place, requireFileName(name));
  if (to.endsWith("/")) return inFolder;
  const found = await fs.stat(place).catch(() => undefined);
  return found?.isDirectory() ? inFolder : place;
}

export function refuseExisting(
  file: string,
  request: { readonly overwrite: boolean; readonly dropExisting: boolean },
): void {
  if (request.overwrite || request.dropExisting) return;
  throw new BackupctlError("TARGET_NOT_EMPTY", `${file} exists`, {
    hint: "Give another place with --to, or --overwrite to replace it.",
  });
}

/** Removes what killed restores of this file left, with what SQLite had beside it. The caller's lock keeps others from being at it. */
async function sweepBeside(folder: string, prefix: string): Promise<void> {
  for (const name of await listDirectory(folder)) {
    const isLeft = name.startsWith(prefix) && /^[0-9a-f]{12}(-wal|-shm|-journal)?$/.test(name.slice(prefix.length));
    if (isLeft) await fs.rm(path.join(folder, name), { force: true });
  }
}

/**
 * Writes all bytes into a new file (0600) in the same folder and flushes it. Whatever fails, no such file is left.
 * @returns the new file's path; the caller moves or removes it.
 */
export async function writeBeside(
  file: string,
  stream: { readonly bytes: AsyncIterable<Uint8Array>; readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<string> {
  const folder = path.dirname(file);
  const prefix = `.${withRoom(path.basename(file))}.restore-`;
  const temporary = path.join(folder, `${prefix}${randomBytes(6).toString("hex")}`);
  try {
    await makeDirectory(folder);
    await sweepBeside(folder, prefix);
    const handle = await fs.open(temporary, "wx", 0o600);
    let written = 0;
    try {
      for await (const piece of stream.bytes) {
        signal.throwIfAborted();
        await handle.writeFile(piece);
        written += piece.length;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (written !== stream.sizeBytes) {
      throw new BackupctlError("RESTORE_FAILED", `${file}: ${written} bytes arrived instead of ${stream.sizeBytes}`);
    }
    return temporary;
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw writeFailure(file, error);
  }
}

function writeFailure(file: string, error: unknown): unknown {
  switch (errnoOf(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new BackupctlError("INSUFFICIENT_STORAGE", `there is no room to write ${file}`, {
        hint: "Free some space there, or give another place with --to.",
        cause: error,
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new BackupctlError("RESTORE_FAILED", `${path.dirname(file)} can't be written by this user`, {
        hint: "Run it as a user that may, or give another place with --to.",
        cause: error,
      });
    default:
      return error;
  }
}

/**
 * Gives the new file the old one's owner and mode, then its name. Atomic: readers see the old file or the new one.
 * @param notMoved called where that fails: the old one is there
 */
export async function moveIntoPlace(
  temporary: string,
  file: string,
  replaced: ExistingFile | undefined,
  notMoved: () => void = () => undefined,
): Promise<readonly string[]> {
  const warnings: string[] = [];
  try {
    if (replaced !== undefined) {
      if (!(await keepsOwner(temporary, replaced)))
        warnings.push(`${file} belongs to another user now: only root may keep the owner`);
      await fs.chmod(temporary, replaced.mode);
    }
    await fs.rename(temporary, file);
  } catch (error) {
    notMoved();
    throw error;
  }
  await syncDirectory(path.dirname(file));
  return warnings;
}

async function keepsOwner(temporary: string, { uid, gid }: ExistingFile): Promise<boolean> {
  try {
    await fs.chown(temporary, uid, gid);
    return true;
  } catch (error) {
    if (errnoOf(error) !== "EPERM") throw error;
    return false;
  }
}

/** A file that is a symlink, as a plan shows it. */
export function stateOfLink(place: string, file: string): TargetState {
  const overwrites = [`${file} is a symlink and is replaced; what it points to stays`];
  return { place, file, exists: true, contents: ["a symlink"], overwrites, downtime: false };
}

/** What a restore into a file would find there. */
export async function targetFileState(to: string, name: string): Promise<TargetState> {
  const file = await fileAt(to, name);
  const found = await existingFile(file);
  if (found?.isLink) return stateOfLink(file, file);
  return {
    place: file,
    file,
    exists: found !== undefined,
    contents: found === undefined ? [] : [`a file of ${found.sizeBytes} bytes`],
    overwrites: found === undefined ? [] : [`${file} is replaced`],
    downtime: false,
  };
}

/** Restores the whole stream into one file: 0600, or as the one that it replaces unless what comes is always `secret`. */
export async function restoreFile(
  to: string,
  { name, secret = false }: { readonly name: string; readonly secret?: boolean },
  request: StreamRestore,
  context: EngineContext,
): Promise<RestoreOutcome> {
  const file = await fileAt(to, name);
  const there = await existingFile(file);
  if (there !== undefined) refuseExisting(file, request);
  const replaced = there && secret ? { ...there, mode: 0o600 } : there;
  context.activity(file);
  const temporary = await writeBeside(file, request, context.signal);
  try {
    const warnings = await moveIntoPlace(temporary, file, replaced, request.coming?.());
    return {
      place: file,
      checks: [{ name: "size", passed: true, detail: `${request.sizeBytes} bytes written` }],
      warnings,
    };
  } finally {
    await fs.rm(temporary, { force: true });
  }
}

/**
 * Hands on the stream as an open file, at its start, when all of it has arrived. The file has no name any more: nothing is left of it when its
 * last reader ends, and one that reads it for itself has all of it even if this process is killed.
 */
export async function spooled<Result>(
  request: StreamRestore,
  context: EngineContext,
  use: (file: fs.FileHandle) => Promise<Result>,
): Promise<Result> {
  const name = await writeBeside(path.join(context.temporaryDirectory, "spool"), request, context.signal);
  const file = await fs.open(name, "r").finally(() => fs.rm(name, { force: true }));
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
