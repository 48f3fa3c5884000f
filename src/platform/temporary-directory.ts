import { promises as fs } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { errnoOf, makePrivateDirectory } from "./files.ts";
import { removeTree } from "./tree/removal.ts";

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

/** The same, named after this process; those of processes that are gone are removed first. For work that holds no lock. */
export async function createProcessDirectory(parent: string): Promise<TemporaryDirectory> {
  await makePrivateDirectory(parent);
  for (const name of await fs.readdir(parent)) {
    const pid = Number.parseInt(name, 10);
    if (pid > 0 && !isAlive(pid)) await removeTree(path.join(parent, name));
  }
  const directory = await fs.mkdtemp(path.join(parent, `${process.pid}-`));
  return { path: directory, dispose: () => removeTree(directory) };
}

/** What this user may still write there. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await fs.statfs(directory);
  return bavail * bsize;
}

/** A signal of nothing tells whether there is a process to be signalled; one of another user's is alive too. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}
