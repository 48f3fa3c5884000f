import * as fs from "node:fs";
import { errnoOf } from "../files.ts";
import { temporaryName } from "../leavings.ts";

/**
 * Whether `a` and `A` are one name in a folder below the root, by trying; where it is missing, in the nearest above it, of which it will be
 * made. No symlink below the root is followed. False where nothing can be written: what comes next says why.
 */
export function ignoresCase(root: string, folder: readonly string[] = []): boolean {
  let place = root;
  for (const member of folder) {
    if (!fs.lstatSync(`${place}/${member}`, { throwIfNoEntry: false })?.isDirectory()) break;
    place = `${place}/${member}`;
  }
  const name = temporaryName();
  const within = (member: string): string => `${place}/${member}`;
  try {
    fs.closeSync(fs.openSync(within(name), "wx", 0o600));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
  try {
    return fs.existsSync(within(name.toUpperCase()));
  } finally {
    fs.rmSync(within(name), { force: true });
  }
}
