import * as fs from "node:fs";
import ignore from "ignore";
import { type BytePath, openForReading } from "../../platform/walk.ts";
import type { FilesOptions } from "./options.ts";

export type ExcludeOptions = Pick<FilesOptions, "exclude" | "exclude_if_present" | "exclude_caches">;

/** Says what below one root is left out. */
export interface Excludes {
  /** @param relative the path below the root, without a leading slash */
  readonly excludes: (relative: BytePath, isDirectory: boolean) => boolean;
  /** Of a directory's members those that remain because it is marked as not to be backed up. `undefined`: it is not marked. */
  readonly keptOfMarked: (directory: BytePath, members: readonly string[]) => readonly string[] | undefined;
}

const CACHE_TAG = "CACHEDIR.TAG";
const CACHE_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55";
/** `ignore` remembers every path that it was ever asked about; a tree of a million files must not stay in memory. */
const REMEMBERED_PATHS = 20_000;

export function excludesOf(root: BytePath, options: ExcludeOptions): Excludes {
  const patterns = options.exclude.map((pattern) => anchoredAt(root, pattern));
  const markers = new Set(options.exclude_if_present.map((name) => Buffer.from(name, "utf8").toString("latin1")));
  return {
    excludes: patterns.length === 0 ? () => false : matcher(patterns),
    keptOfMarked(directory, members) {
      const present = members.filter((name) => markers.has(name));
      if (options.exclude_caches && members.includes(CACHE_TAG) && isCacheTag(`${directory}/${CACHE_TAG}`)) {
        present.push(CACHE_TAG);
      }
      return present.length === 0 ? undefined : present;
    },
  };
}

function matcher(patterns: readonly string[]): Excludes["excludes"] {
  const fresh = () => ignore({ ignorecase: false }).add(patterns);
  let rules = fresh();
  let asked = 0;
  return (relative, isDirectory) => {
    if (++asked % REMEMBERED_PATHS === 0) rules = fresh();
    const text = Buffer.from(relative, "latin1").toString("utf8");
    return rules.ignores(isDirectory ? `${text}/` : text);
  };
}

/** An absolute path below the root means that path; anything else is gitignore's business. */
function anchoredAt(root: BytePath, pattern: string): string {
  const negated = pattern.startsWith("!") ? "!" : "";
  const body = pattern.slice(negated.length);
  const prefix = `${Buffer.from(root, "latin1").toString("utf8")}/`;
  return prefix !== "/" && body.startsWith(prefix) ? `${negated}/${body.slice(prefix.length)}` : pattern;
}

function isCacheTag(path: BytePath): boolean {
  try {
    const fd = openForReading(Buffer.from(path.slice(1), "latin1"));
    try {
      const start = Buffer.alloc(CACHE_SIGNATURE.length);
      const length = fs.readSync(fd, start, 0, start.length, 0);
      return start.subarray(0, length).toString("latin1") === CACHE_SIGNATURE;
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // A tag that can't be read (or is no file) excludes nothing: rather back up too much.
    return false;
  }
}
