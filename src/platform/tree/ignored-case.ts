import * as fs from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../files.ts";
import { temporaryName } from "../leavings.ts";

/** Whether `a` and `A` are one name in this folder, by trying. False where nothing can be written: what comes next says why. */
export function ignoresCase(folder: string): boolean {
  const name = temporaryName();
  try {
    fs.closeSync(fs.openSync(join(folder, name), "wx", 0o600));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
  try {
    return fs.existsSync(join(folder, name.toUpperCase()));
  } finally {
    fs.rmSync(join(folder, name), { force: true });
  }
}
