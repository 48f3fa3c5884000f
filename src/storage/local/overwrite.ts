import { randomBytes } from "node:crypto";
import { constants, promises as fs } from "node:fs";
import * as path from "node:path";
import { UNFINISHED_PREFIX } from "../object-key.ts";

const ZEROS = Buffer.alloc(2 ** 18);

/**
 * Removes a file after what it holds was written over with zeros, as far as its medium writes in place. One that has another name is
 * somebody's own copy by a hard link: that one stays as it is.
 */
export async function removeOverwritten(file: string): Promise<void> {
  const stats = await fs.lstat(file);
  if (!stats.isFile() || stats.nlink > 1) {
    await fs.unlink(file);
    return;
  }
  // Under a part's name nobody reads it: killed from here on there is no object, rather than one of zeros.
  const part = path.join(path.dirname(file), `${UNFINISHED_PREFIX}${randomBytes(12).toString("hex")}`);
  await fs.rename(file, part);
  await overwrite(part, stats.size);
  await fs.unlink(part);
}

async function overwrite(file: string, sizeBytes: number): Promise<void> {
  const handle = await fs.open(file, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    for (let at = 0; at < sizeBytes; ) {
      const { bytesWritten } = await handle.write(ZEROS, 0, Math.min(ZEROS.length, sizeBytes - at), at);
      at += bytesWritten;
    }
    // Else the name may be gone before the first zero is on the disk.
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** File systems that write elsewhere what is written anew, by the numbers of statfs(2). */
const WRITING_ELSEWHERE: ReadonlyMap<number, string> = new Map([
  [0x9123683e, "btrfs"],
  [0x2fc12fc1, "zfs"],
  [0xca451a4e, "bcachefs"],
  [0xf2f52010, "f2fs"],
  [0x3434, "nilfs"],
]);

/** Why overwriting leaves the old bytes on the medium; `undefined` where nothing speaks against it. */
export async function whyNotInPlace(directory: string): Promise<string | undefined> {
  const { type } = await fs.statfs(directory);
  const name = WRITING_ELSEWHERE.get(type);
  if (name !== undefined) return `${name} writes new bytes to another place`;
  const { dev } = await fs.stat(directory);
  return (await isFlash(dev)) ? "it is flash memory, which writes new bytes to another place" : undefined;
}

/** What the kernel says of the disk; a part of a disk says it one folder further up. */
async function isFlash(device: number): Promise<boolean> {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  for (const folder of ["queue", "../queue"]) {
    try {
      const file = path.join(`/sys/dev/block/${major}:${minor}`, folder, "rotational");
      return (await fs.readFile(file, "utf8")).trim() === "0";
    } catch {
      // Not a disk, or a kernel that says nothing of it: then nothing is known against it.
    }
  }
  return false;
}
