import { promises as fs } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { removeTree } from "./files.ts";

export interface TemporaryDirectory {
  readonly path: string;
  /** Removes it with all that is in it; may be called again. */
  dispose(): Promise<void>;
}

/** A new directory that only this user can enter (0700). */
export async function createTemporaryDirectory(parent: string = os.tmpdir()): Promise<TemporaryDirectory> {
  // mkdtemp makes it with 0700 whatever the umask leaves open to others.
  const directory = await fs.mkdtemp(path.join(parent, "backupctl-"));
  return { path: directory, dispose: () => removeTree(directory) };
}
