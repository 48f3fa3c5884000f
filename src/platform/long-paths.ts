import * as fs from "node:fs";
import { errnoOf } from "./files.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const O_NOATIME = fs.constants.O_NOATIME ?? 0;
const SLASH = 0x2f;

/** Linux refuses a path of 4096 bytes and more in one call; the rest leaves room for one more name. */
export const LONGEST_PATH_BYTES = 3_800;

/**
 * The path under which the directory behind an open descriptor can be named, whatever its real path is by now. Linux only:
 * elsewhere a path longer than the system takes can't be opened.
 */
export function pathOfDescriptor(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/**
 * Opens `/name` for reading, its last member never followed if it is a symlink (`ELOOP`), and never waiting for a pipe's writer.
 * A name longer than the system's longest path is reached through open directories. The access time is left alone where
 * the system lets us. The caller closes the descriptor. Errors are the system's own.
 */
export function openForReading(name: Buffer): number {
  return openPath(Buffer.concat([Buffer.from("/"), name]), O_RDONLY | O_NONBLOCK);
}

function openPath(path: Buffer, flags: number): number {
  let anchor: number | undefined;
  let rest = path;
  try {
    while (rest.length > LONGEST_PATH_BYTES) {
      const cut = rest.lastIndexOf(SLASH, LONGEST_PATH_BYTES);
      const next = fs.openSync(below(anchor, rest.subarray(0, cut)), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      closeIfOpen(anchor);
      anchor = next;
      rest = rest.subarray(cut + 1);
    }
    return openWithoutAccessTime(below(anchor, rest), flags | O_NOFOLLOW);
  } finally {
    closeIfOpen(anchor);
  }
}

function below(anchor: number | undefined, path: Buffer): Buffer {
  return anchor === undefined ? path : Buffer.concat([Buffer.from(`${pathOfDescriptor(anchor)}/`), path]);
}

function closeIfOpen(fd: number | undefined): void {
  if (fd !== undefined) fs.closeSync(fd);
}

/** Only a file's owner and root may keep its access time; everyone else reads it all the same. */
export function openWithoutAccessTime(path: Buffer, flags: number): number {
  try {
    return fs.openSync(path, flags | O_NOATIME);
  } catch (error) {
    if (O_NOATIME === 0 || errnoOf(error) !== "EPERM") throw error;
    return fs.openSync(path, flags);
  }
}
