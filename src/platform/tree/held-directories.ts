import * as fs from "node:fs";
import { resolve } from "node:path";
import { BackupctlError } from "../../errors.ts";
import { errnoOf } from "../files.ts";
import { pathOfDescriptor } from "../long-paths.ts";
import { type BytePath, showPath } from "../walk.ts";

const HELD_AT_MOST = 128;
const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/**
 * The directories below a root that we write into. Each is opened from its parent, member by member and never through a symlink, and
 * its children are then named through the open descriptor (`/proc/self/fd/N/child`): whatever is renamed or planted above it
 * meanwhile, nothing is written outside the root, and no path grows too long. Where the system has no such names, every
 * member is checked with lstat instead: that keeps out links that were there before, not ones planted in between.
 */
export interface HeldDirectories {
  /** The prefix, ending in `/`, under which the members of a directory are named. Makes missing directories. */
  readonly prefixOf: (directory: BytePath) => string;
  /** To be called when a directory is removed or replaced. */
  readonly forget: (directory: BytePath) => void;
  readonly close: () => void;
}

/** @param root an existing directory; a symlink on the way to it is not followed: it was planted since the way was looked at */
export function holdDirectories(root: string): HeldDirectories {
  return fs.existsSync(pathOfDescriptor(0)) ? heldByDescriptor(root) : heldByPath(root);
}

function heldByDescriptor(root: string): HeldDirectories {
  const rootFd = openRoot(root);
  // In order of last use: the first is the first to be closed.
  const held = new Map<BytePath, number>();

  function descriptorOf(directory: BytePath): number {
    if (directory === "") return rootFd;
    const known = held.get(directory);
    if (known !== undefined) {
      held.delete(directory);
      held.set(directory, known);
      return known;
    }
    const fd = openFromNearest(directory);
    closeOldest();
    return fd;
  }

  function openFromNearest(directory: BytePath): number {
    const members = directory.split("/");
    let depth = members.length - 1;
    while (depth > 0 && !held.has(members.slice(0, depth).join("/"))) depth--;
    let path = members.slice(0, depth).join("/");
    let fd = held.get(path) ?? rootFd;
    for (const member of members.slice(depth)) {
      path = path === "" ? member : `${path}/${member}`;
      fd = openMember(`${pathOfDescriptor(fd)}/${member}`, path);
      held.set(path, fd);
    }
    return fd;
  }

  function closeOldest(): void {
    for (const [path, fd] of held) {
      if (held.size <= HELD_AT_MOST) return;
      held.delete(path);
      fs.closeSync(fd);
    }
  }

  return {
    prefixOf: (directory) => `${pathOfDescriptor(descriptorOf(directory))}/`,
    forget(directory) {
      for (const [path, fd] of held) {
        if (path !== directory && !path.startsWith(`${directory}/`)) continue;
        held.delete(path);
        fs.closeSync(fd);
      }
    },
    close() {
      for (const fd of held.values()) fs.closeSync(fd);
      held.clear();
      fs.closeSync(rootFd);
    },
  };
}

/** What another thread has open already has such a name, which is a link by its nature. */
function openRoot(root: string): number {
  const shared = pathOfDescriptor(0).replace(/0$/, "");
  if (root.startsWith(shared)) return fs.openSync(root, O_PATH | O_DIRECTORY);
  const members = Buffer.from(resolve(root), "utf8")
    .toString("latin1")
    .split("/")
    .filter((member) => member !== "");
  let fd = fs.openSync("/", O_PATH | O_DIRECTORY);
  for (const [depth, member] of members.entries()) {
    const above = fd;
    try {
      fd = openDirectory(`${pathOfDescriptor(above)}/${member}`, `/${members.slice(0, depth + 1).join("/")}`);
    } finally {
      fs.closeSync(above);
    }
  }
  return fd;
}

function openDirectory(access: string, shown: BytePath): number {
  try {
    return fs.openSync(Buffer.from(access, "latin1"), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    throw notADirectory(shown, error);
  }
}

function openMember(access: string, path: BytePath): number {
  const bytes = Buffer.from(access, "latin1");
  const flags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  try {
    return fs.openSync(bytes, flags);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw notADirectory(path, error);
  }
  makeMissing(bytes);
  try {
    return fs.openSync(bytes, flags);
  } catch (error) {
    throw notADirectory(path, error);
  }
}

function heldByPath(root: string): HeldDirectories {
  const start = Buffer.from(root, "utf8").toString("latin1").replace(/\/+$/, "");
  return {
    prefixOf(directory) {
      let path = start;
      for (const member of directory === "" ? [] : directory.split("/")) {
        path = `${path}/${member}`;
        const bytes = Buffer.from(path, "latin1");
        const stats = fs.lstatSync(bytes, { throwIfNoEntry: false });
        if (stats === undefined) makeMissing(bytes);
        else if (!stats.isDirectory()) throw notADirectory(directory, undefined);
      }
      return `${path}/`;
    },
    forget: () => undefined,
    close: () => undefined,
  };
}

/** Another worker may make the same directory at the same time. */
function makeMissing(path: Buffer): void {
  try {
    fs.mkdirSync(path, 0o755);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

function notADirectory(path: BytePath, cause: unknown): unknown {
  const code = errnoOf(cause);
  if (cause !== undefined && code !== "ENOTDIR" && code !== "ELOOP") return cause;
  return new BackupctlError("RESTORE_FAILED", `${showPath(path)} in the target is not a directory`, {
    hint: "Remove what is there (a symlink is never followed), or restore elsewhere with --to PATH.",
    cause,
  });
}
