import * as fs from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../files.ts";
import { stagingName } from "./staged-tree.ts";

type Pair = readonly [string, string];

/** What file systems that take several spellings for one name take for one: another case, another form of Unicode. */
const SPELLINGS: readonly Pair[] = [
  ["a", "A"],
  ["\u00e9", "e\u0301"],
];

/** Whether a folder takes some spellings of a name for one, by trying. */
export function mergesNames(place: string): boolean {
  return SPELLINGS.some((pair) => areOneName(place, pair));
}

/**
 * Whether two names are one in a folder, by trying; where it is missing, in the nearest above it, of which it will be made. False where
 * nothing can be written: what comes next says why.
 */
export function areOneName(place: string, [left, right]: Pair): boolean {
  const folder = `${nearestFolder(place)}/${stagingName(place)}`;
  try {
    fs.mkdirSync(folder, 0o700);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
  try {
    fs.closeSync(fs.openSync(`${folder}/${left}`, "wx", 0o600));
    return fs.existsSync(`${folder}/${right}`);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  } finally {
    fs.rmSync(`${folder}/${left}`, { force: true });
    fs.rmdirSync(folder);
  }
}

function nearestFolder(place: string): string {
  let folder = place;
  while (folder !== "/" && !fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory()) folder = dirname(folder);
  return folder;
}
