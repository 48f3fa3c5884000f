import * as fs from "node:fs";
import { BackupctlError } from "../../errors.ts";
import { errnoOf } from "../files.ts";
import { withTurns } from "../turns.ts";
import { type BytePath, showPath } from "../walk.ts";

export function folderInTheWay(shown: string): BackupctlError {
  return new BackupctlError("TARGET_NOT_EMPTY", `${shown} is a folder that is not empty, and none in the backup`, {
    hint: "Move it away, let --delete remove it, leave it out with --exclude, or restore elsewhere with --to PATH.",
  });
}

export function shownBelow(root: string, path: BytePath): string {
  const base = Buffer.from(root, "utf8").toString("latin1").replace(/\/+$/, "");
  return showPath(`${base}/${path}`);
}

/**
 * The first of some names of files and symlinks that a folder with something in it has in the target. Follows no symlink below the root, and
 * passes over what it can't list: writing there fails at once.
 * @param names relative to the root
 */
export async function findFolderInTheWay(
  root: string,
  names: Iterable<Buffer>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const listing = new Listing(Buffer.from(root, "utf8").toString("latin1").replace(/\/+$/, ""));
  for await (const name of withTurns(names, signal)) {
    const path = name.toString("latin1");
    if (listing.hasFilledFolder(path)) return shownBelow(root, path);
  }
  return undefined;
}

interface OpenFolder {
  readonly path: BytePath;
  /** Names of the folders in it. */
  readonly folders: ReadonlySet<string>;
}

/** Keeps only the folders that lead to the last name: what is below a folder follows it directly. */
class Listing {
  readonly #root: OpenFolder;
  readonly #open: OpenFolder[] = [];

  constructor(root: BytePath) {
    this.#root = { path: root, folders: foldersIn(root) };
  }

  hasFilledFolder(path: BytePath): boolean {
    const members = path.split("/");
    const last = members.pop() ?? "";
    let folder = this.#root;
    for (const [depth, member] of members.entries()) {
      if (!folder.folders.has(member)) return false;
      const below = `${folder.path}/${member}`;
      if (this.#open[depth]?.path !== below) {
        this.#open.length = depth;
        this.#open.push({ path: below, folders: foldersIn(below) });
      }
      folder = this.#open[depth] as OpenFolder;
    }
    return folder.folders.has(last) && listed(`${folder.path}/${last}`).length > 0;
  }
}

function foldersIn(path: BytePath): ReadonlySet<string> {
  return new Set(listed(path).flatMap((entry) => (entry.isDirectory() ? [entry.name.toString("latin1")] : [])));
}

function listed(path: BytePath): readonly fs.Dirent<Buffer>[] {
  try {
    return fs.readdirSync(Buffer.from(`${path}/`, "latin1"), { withFileTypes: true, encoding: "buffer" });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}
