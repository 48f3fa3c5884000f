import * as fs from "node:fs";
import { errnoOf } from "../files.ts";
import { pathOfDescriptor } from "../long-paths.ts";

const OPEN = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW;

/** Removes a file or a whole folder of the program's own making, whatever was restored into it. Nothing there is success. */
export async function removeTree(place: string): Promise<void> {
  try {
    await fs.promises.rm(place, { recursive: true, force: true });
  } catch (error) {
    // What lies too deep to be named, and folders that their owner may not write to.
    if (errnoOf(error) !== "ENAMETOOLONG" && errnoOf(error) !== "EACCES") throw error;
    removeDirectory(Buffer.from(place, "utf8"));
  }
}

/**
 * Removes everything in a directory, not the directory. Names are raw bytes (which `rm -r` of Node is not made for), and a directory
 * is entered through its own descriptor, so that a symlink planted meanwhile is removed and not followed.
 * @param prefix the directory's path in latin1, ending in a slash
 */
export function removeMembers(prefix: string): void {
  for (const name of fs.readdirSync(Buffer.from(prefix, "latin1"), { encoding: "latin1" })) {
    const access = Buffer.from(`${prefix}${name}`, "latin1");
    if (fs.lstatSync(access).isDirectory()) removeDirectory(access);
    else fs.unlinkSync(access);
  }
}

function removeDirectory(access: Buffer): void {
  const fd = openWritable(access);
  try {
    removeMembers(fs.existsSync(pathOfDescriptor(fd)) ? `${pathOfDescriptor(fd)}/` : `${access.toString("latin1")}/`);
  } finally {
    fs.closeSync(fd);
  }
  try {
    fs.rmdirSync(access);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

/** A folder restored without root may be one that its owner can't read or change. */
function openWritable(access: Buffer): number {
  if (process.geteuid?.() !== 0) fs.chmodSync(access, 0o700);
  return fs.openSync(access, OPEN);
}
