import * as fs from "node:fs";
import { errnoOf } from "../files.ts";
import { withTurns } from "../turns.ts";
import { type BytePath, compareNames, type WalkEntry, type WalkRules, walk } from "../walk.ts";
import { isStagingName } from "./staged-tree.ts";
import type { TreeTarget } from "./tree-writer.ts";

interface FolderState {
  readonly kind: "missing" | "directory" | "file" | "symlink" | "special";
  /** Direct members of a directory. */
  readonly members: number;
  /** The first few of them, by bytes, in latin1. */
  readonly first: readonly BytePath[];
}

const NAMES_SHOWN = 5;

/** What lies at a place, for the plan of a restore, but for what a killed one left. A symlink to a folder is that folder: it is the operator's own path. */
export function describeFolder(place: string): FolderState {
  const nothing = { members: 0, first: [] };
  const own = fs.lstatSync(place, { throwIfNoEntry: false });
  if (own === undefined) return { kind: "missing", ...nothing };
  const stats = fs.statSync(place, { throwIfNoEntry: false }) ?? own;
  if (!stats.isDirectory()) {
    if (own.isSymbolicLink()) return { kind: "symlink", ...nothing };
    return { kind: stats.isFile() ? "file" : "special", ...nothing };
  }
  const isLeftover = (name: BytePath): boolean => isStagingName(place, Buffer.from(name, "latin1").toString("utf8"));
  const names = fs
    .readdirSync(place, { encoding: "latin1" })
    .filter((name) => !isLeftover(name))
    .sort();
  return { kind: "directory", members: names.length, first: names.slice(0, NAMES_SHOWN) };
}

export interface ExtraEntries {
  readonly files: number;
  readonly directories: number;
  readonly sizeBytes: number;
  /** Relative to the root, in index order. */
  readonly names: readonly Buffer[];
}

/** A restored tree, or a part of it. */
interface RestoredFolder {
  /** Where the tree was restored: `/` or the `--to` path. */
  readonly root: string;
  /** Relative to the root; empty: all of it. */
  readonly folder: Buffer;
  /** Of the backup's entries, relative to the root, in index order; those outside `folder` are passed over. */
  readonly names: Iterable<Buffer>;
  readonly signal: AbortSignal;
}

/**
 * What exists in `folder` and below but is not in the backup: what `--delete` would remove.
 *
 * @param keeps true for what must stay although the backup has it not (`Engine.leavesOut`); names are relative to the root
 */
export async function findExtra(
  { root, folder, names, signal }: RestoredFolder,
  keeps: (name: Buffer, isDirectory: boolean) => boolean = () => false,
): Promise<ExtraEntries> {
  const base = realRoot(root);
  const start = folder.length === 0 ? base : `${base}/${folder.toString("latin1")}`;
  const known = names[Symbol.iterator]();
  const found = { files: 0, directories: 0, sizeBytes: 0, names: [] as Buffer[] };
  let next = known.next();
  const rules: WalkRules<true> = {
    *members(_directory, _state, read) {
      return yield* read();
    },
    accept: (path, stats) => (keeps(nameBelow(base, path), stats.isDirectory()) ? undefined : { state: true }),
    // What can't be read can't be counted, and is not removed either.
    failed: () => undefined,
  };
  for await (const entry of withTurns(walk(start, true, rules), signal)) {
    if (entry === undefined) continue;
    const name = nameBelow(base, entry.path);
    while (next.done !== true && compareNames(next.value, name) < 0) next = known.next();
    if (next.done === true || compareNames(next.value, name) !== 0) note(found, name, entry);
  }
  return found;
}

function nameBelow(base: BytePath, path: BytePath): Buffer {
  return Buffer.from(path.slice(base.length + 1), "latin1");
}

function note(
  found: { files: number; directories: number; sizeBytes: number; names: Buffer[] },
  name: Buffer,
  entry: WalkEntry,
): void {
  found.names.push(name);
  if (entry.stats.isDirectory()) found.directories++;
  else {
    found.files++;
    found.sizeBytes += Number(entry.stats.size);
  }
}

/** Removes what `findExtra` found, the deepest first. Returns how many are gone; a folder that holds something kept stays. */
export async function removeExtra(target: TreeTarget, extra: ExtraEntries, signal: AbortSignal): Promise<number> {
  let removed = 0;
  for await (const name of withTurns(extra.names.toReversed(), signal)) if (target.remove(name)) removed++;
  return removed;
}

function realRoot(root: string): BytePath {
  try {
    const real = fs.realpathSync.native(root, { encoding: "buffer" }).toString("latin1");
    return real === "/" ? "" : real;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    return Buffer.from(root, "utf8").toString("latin1");
  }
}
