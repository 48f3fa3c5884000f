import { randomBytes } from "node:crypto";
import { promises as fs } from "node:fs";
import * as path from "node:path";
import { BackupctlError } from "../../errors.ts";
import { errnoOf, listDirectory, makeDirectory, syncDirectory, unmakeDirectory } from "../files.ts";
import { withRoom } from "../leavings.ts";
import { moveUp } from "./closed-folders.ts";
import { removeMembers } from "./removal.ts";

/** A private directory in which a tree is made, and from which it comes to its place all at once. */
interface StagedTree {
  readonly root: string;
  /** What a killed restore of the same place had left, one line each. */
  readonly warnings: readonly string[];
  /** Moves the tree to its place. @throws `TARGET_NOT_EMPTY` if something came to be there meanwhile */
  commit(): Promise<void>;
  /** Removes whatever was made, parents included; does nothing after `commit`. */
  discard(): Promise<void>;
}

/**
 * Stages a tree for a folder that is missing or empty. A missing one is made beside its place and renamed: it appears whole. An empty one
 * (which may be a mount point, or somebody's working directory, and has an owner of its own) stays; the tree is made in a private
 * directory in it, and its members are moved up at the end. What a killed restore of the same place left is removed first.
 */
export async function stageTree(place: string): Promise<StagedTree> {
  const exists = await fs.stat(place).then(
    () => true,
    () => false,
  );
  return exists ? stageInside(place) : stageBeside(place);
}

/** A new name beside or in `place` that the next restore to it removes, should this one be killed. */
export function stagingName(place: string): string {
  return `${stagingPrefix(place)}${randomBytes(4).toString("hex")}`;
}

function stagingPrefix(place: string): string {
  return `.${withRoom(path.basename(place))}.backupctl-`;
}

/** True for the name of a private directory in which a tree for `place` is made, or was when its restore was killed. */
export function isStagingName(place: string, name: string): boolean {
  const prefix = stagingPrefix(place);
  return name.startsWith(prefix) && /^[0-9a-f]{8}$/.test(name.slice(prefix.length));
}

/**
 * Removes what killed restores of this place left beside it and in it, as far as this user may. A link under such a name is not the
 * program's own: what it leads to is not touched. The caller's lock keeps others from being at it. Says what there was, one line each.
 */
export async function sweepStaging(place: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of [path.dirname(place), place]) {
    const names = await listDirectory(folder).catch(ifNotOurs([]));
    for (const name of names.filter((member) => isStagingName(place, member))) {
      const left = path.join(folder, name);
      if (!(await fs.lstat(left)).isDirectory()) continue;
      const isRemoved = await removeStaging(left).then(() => true, ifNotOurs(false));
      const what = isRemoved ? "was removed" : "can't be removed by this user";
      found.push(`a restore to ${place} died before: what it had made, ${left}, ${what}`);
    }
  }
  return found;
}

/** This instead of a refusal by the system. */
function ifNotOurs<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (!["EACCES", "EPERM", "ENOTDIR"].includes(errnoOf(error) ?? "")) throw error;
    return instead;
  };
}

async function stageBeside(place: string): Promise<StagedTree> {
  const parent = path.dirname(place);
  const root = path.join(parent, stagingName(place));
  const { made, warnings } = await makeStaging(place, parent, root);
  // What the umask leaves of it is what a folder of this user's gets; private while it is filled.
  const ordinaryMode = (await fs.stat(root)).mode & 0o777;
  await fs.chmod(root, 0o700);
  let committed = false;
  return {
    root,
    warnings,
    async commit() {
      // Renaming onto an empty directory would succeed; what is there now was not there when the plan was made.
      if (await exists(place)) throw taken(place);
      await fs.chmod(root, ordinaryMode);
      await fs.rename(root, place);
      committed = true;
      await syncDirectory(parent);
    },
    async discard() {
      if (committed) return;
      await removeStaging(root);
      await unmakeDirectory(parent, made);
    },
  };
}

async function stageInside(place: string): Promise<StagedTree> {
  const root = path.join(place, stagingName(place));
  const { warnings } = await makeStaging(place, undefined, root);
  await fs.chmod(root, 0o700);
  return {
    root,
    warnings,
    async commit() {
      const name = path.basename(root);
      const others = (await fs.readdir(place)).filter((member) => member !== name);
      if (others.length > 0) throw taken(place);
      for (const member of await fs.readdir(root, { encoding: "buffer" })) {
        const from = Buffer.concat([Buffer.from(`${root}/`), member]);
        await moveUp(from, Buffer.concat([Buffer.from(`${place}/`), member]));
      }
      await fs.rmdir(root);
      await syncDirectory(place);
    },
    discard: () => removeStaging(root),
  };
}

/** `made` is the first of the parents that had to be made. */
async function makeStaging(
  place: string,
  parent: string | undefined,
  root: string,
): Promise<{ readonly made: string | undefined; readonly warnings: readonly string[] }> {
  try {
    const made = parent === undefined ? undefined : await makeDirectory(parent);
    const warnings = await sweepStaging(place);
    await fs.mkdir(root);
    return { made, warnings };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new BackupctlError("RESTORE_FAILED", `${place} can't be made (${errnoOf(error)})`, {
      hint: "Give a folder that you may write to with --to PATH.",
      cause: error,
    });
  }
}

async function removeStaging(root: string): Promise<void> {
  if (!(await exists(root))) return;
  removeMembers(`${Buffer.from(root, "utf8").toString("latin1")}/`);
  await fs.rmdir(root);
}

function exists(place: string): Promise<boolean> {
  return fs.lstat(place).then(
    () => true,
    () => false,
  );
}

function taken(place: string): BackupctlError {
  return new BackupctlError("TARGET_NOT_EMPTY", `${place} was filled by somebody else during the restore`, {
    hint: "Nothing was put there. Look at what it is, then restore elsewhere with --to PATH or with --overwrite.",
  });
}
