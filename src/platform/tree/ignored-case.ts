import * as fs from "node:fs";
import { errnoOf } from "../files.ts";
import { temporaryName } from "../leavings.ts";

/** Whether `a` and `A` are one name in this folder, by trying. False where nothing can be written: what comes next says why. */
export function ignoresCase(folder: Buffer): boolean {
  const name = temporaryName();
  const within = (member: string): Buffer => Buffer.concat([folder, Buffer.from(`/${member}`)]);
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
