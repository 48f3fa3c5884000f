import * as fs from "node:fs";
import { errnoOf } from "../files.ts";
import { pathOfDescriptor } from "../long-paths.ts";
import type { BytePath } from "../walk.ts";

/** Folders that their owner may not write to or search: nothing for root, but for everyone else who restores what is theirs. */

const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** Lets the owner in; does nothing for root, nor to what is somebody else's. */
export function openToOwner(directory: Buffer): void {
  const user = process.geteuid?.();
  if (user === undefined || user === 0) return;
  const fd = fs.openSync(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    const { mode, uid } = fs.fstatSync(fd);
    if (uid === user && (mode & 0o700) !== 0o700) fs.chmodSync(pathOfDescriptor(fd), mode | 0o700);
  } finally {
    fs.closeSync(fd);
  }
}

/** A folder that its owner may not write to can't get another parent, though nothing in it changes. */
export async function moveUp(from: Buffer, to: Buffer): Promise<void> {
  const stats = await fs.promises.lstat(from);
  const isClosed = stats.isDirectory() && (stats.mode & 0o200) === 0 && process.geteuid?.() !== 0;
  if (isClosed) await fs.promises.chmod(from, stats.mode | 0o200);
  await fs.promises.rename(from, to);
  if (isClosed) await fs.promises.chmod(to, stats.mode);
}

/** The members of a folder; none where they may not be listed: that does not keep anything from being written. */
export function membersOf(prefix: string): readonly BytePath[] {
  try {
    return fs.readdirSync(Buffer.from(prefix, "latin1"), { encoding: "latin1" });
  } catch (error) {
    if (errnoOf(error) === "EACCES") return [];
    throw error;
  }
}
