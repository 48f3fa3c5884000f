import { randomBytes } from "node:crypto";
import { constants, promises as fs, type Stats } from "node:fs";
import * as path from "node:path";
import { BackupctlError } from "../../errors.ts";
import { errnoOf, makeDirectory, READ_WITHOUT_WAITING, syncDirectory } from "../../platform/files.ts";
import { LARGEST_WRITE_BYTES } from "../../platform/write.ts";
import { UNFINISHED_PREFIX } from "../object-key.ts";

export type Link = (from: string, to: string) => Promise<void>;

/** What `link` says on file systems without hard links (FAT, exFAT, some network and FUSE ones). */
const NO_HARD_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);
const COMPARE_BYTES = 1024 * 1024;

/** Writes beside the final name and flushes; the caller then places it. The part is removed on every error. */
export async function writePart(directory: string, bytes: Uint8Array): Promise<{ file: string; stats: Stats }> {
  const file = path.join(directory, `${UNFINISHED_PREFIX}${randomBytes(12).toString("hex")}`);
  const handle = await fs.open(file, "wx", 0o600);
  try {
    let written = 0;
    while (written < bytes.length) {
      const { bytesWritten } = await handle.write(
        bytes,
        written,
        Math.min(LARGEST_WRITE_BYTES, bytes.length - written),
      );
      written += bytesWritten;
    }
    await handle.sync();
    const stats = await handle.stat();
    if (stats.size !== bytes.length) {
      throw new BackupctlError("STORAGE_FAILED", `${file} has ${stats.size} bytes after writing ${bytes.length}`, {
        retryable: true,
      });
    }
    return { file, stats };
  } catch (error) {
    await fs.rm(file, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
}

/** Gives a part its final name. @returns false, with the part gone, if that name is taken. */
export async function placePart(part: string, file: string, link: Link): Promise<boolean> {
  try {
    await link(part, file);
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (NO_HARD_LINKS.has(errno)) return await renamePart(part, file);
    await fs.rm(part, { force: true });
    if (errno === "EEXIST") return false;
    throw error;
  }
  // The object is in place; a part that can't be unlinked now is a second name, swept later.
  await fs.unlink(part).catch(() => undefined);
  return true;
}

/**
 * Without hard links there is no rename that refuses to replace. The gap between look and rename is harmless: two writers
 * meet on one name only when they repeat the same put, because directories carry the backup's random id.
 */
async function renamePart(part: string, file: string): Promise<boolean> {
  try {
    if (await exists(file)) {
      await fs.rm(part, { force: true });
      return false;
    }
    await fs.rename(part, file);
    return true;
  } catch (error) {
    await fs.rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await fs.lstat(file);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Opens what is at an object's place for reading; `undefined` for a link, which no listing takes for an object either. */
export async function openUnlinked(file: string): Promise<fs.FileHandle | undefined> {
  try {
    return await fs.open(file, READ_WITHOUT_WAITING | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === "ELOOP" && (await fs.lstat(file)).isSymbolicLink()) return undefined;
    throw error;
  }
}

/**
 * True if the file holds exactly these bytes. It is flushed then: whoever wrote it may have died before its own flush, and
 * the caller is about to call it durable.
 */
export async function holdsSameBytes(file: string, bytes: Uint8Array): Promise<boolean> {
  const handle = await openUnlinked(file);
  if (handle === undefined) return false;
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size !== bytes.length) return false;
    const expected = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const piece = Buffer.allocUnsafe(Math.min(COMPARE_BYTES, Math.max(1, bytes.length)));
    for (let offset = 0; offset < bytes.length; ) {
      const { bytesRead } = await handle.read(piece, 0, piece.length, offset);
      if (bytesRead === 0) return false;
      if (piece.compare(expected, offset, offset + bytesRead, 0, bytesRead) !== 0) return false;
      offset += bytesRead;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(path.dirname(file));
  return true;
}

/** Makes a directory and its missing ancestors (0700), each one's name flushed, so that what is put into it can be found. */
export async function makeDirectoryDurably(directory: string): Promise<void> {
  const first = await makeDirectory(directory, 0o700);
  if (first === undefined) return;
  const top = path.dirname(first);
  for (let current = path.dirname(directory); ; current = path.dirname(current)) {
    await syncDirectory(current);
    if (current === top || current === path.dirname(current)) return;
  }
}
