import * as fs from "node:fs";
import { errnoOf } from "./files.ts";
import { LONGEST_PATH_BYTES, openWithoutAccessTime, pathOfDescriptor } from "./long-paths.ts";

export { openForReading } from "./long-paths.ts";

/**
 * Paths are strings of one character a byte (latin1), `""` for `/`: half the memory of Buffers in a directory of a million
 * names, and the order of such strings is the order of the bytes.
 */
export type BytePath = string;

export interface WalkEntry {
  /** Relative to `/`, raw bytes. */
  readonly name: Buffer;
  readonly path: BytePath;
  readonly stats: fs.BigIntStats;
  /** The text of a symlink. */
  readonly link?: Buffer;
}

/** Decides what a walk sees. `State` belongs to a directory and is handed to its children. */
export interface WalkRules<State> {
  /** The members of a directory to look at, in any order, without a slash; `read` lists what is really there. */
  members(directory: BytePath, state: State, read: () => string[]): readonly string[];
  /** `undefined`: as if it were not there. Without `state` a directory is not entered. */
  accept(path: BytePath, stats: fs.BigIntStats, parent: State): { readonly state?: State } | undefined;
  /** Something is there but can't be read; what vanished while we looked is passed over in silence. */
  failed(path: BytePath, error: unknown): void;
}

/** Where a directory's children are named: by plain path, or through an open ancestor where the path grows too long. */
interface Anchor {
  readonly prefix: string;
  readonly pathLength: number;
}

interface Frame<State> {
  readonly path: BytePath;
  readonly state: State;
  readonly names: readonly string[];
  next: number;
  readonly anchor: Anchor;
  /** Opened for this frame and closed with it. */
  readonly anchorFd: number | undefined;
}

const ROOT_ANCHOR: Anchor = { prefix: "", pathLength: 0 };
const TYPE_MASK = 0o170000n;
const TYPE_DIRECTORY = 0o040000n;
const TYPE_SYMLINK = 0o120000n;
const OPEN_DIRECTORY = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW;
/** Through /proc a directory stays the one that we opened, even when a symlink takes its place meanwhile. */
const HAS_DESCRIPTOR_PATHS = fs.existsSync(pathOfDescriptor(0));

/**
 * Everything below `start` that the rules accept, `start` itself excepted, in index order: raw bytes, `/` before every other
 * byte; so a directory comes directly before what is in it. Follows no symlink. Synchronous: the caller yields to the
 * event loop between entries as it sees fit. Holds one directory's names for each level, and no statistics.
 */
export function* walk<State>(start: BytePath, state: State, rules: WalkRules<State>): Generator<WalkEntry, void> {
  const frames: Frame<State>[] = [];
  const enter = (path: BytePath, anchor: Anchor, own: State): void => {
    const frame = openFrame(path, anchor, own, rules);
    if (frame !== undefined) frames.push(frame);
  };
  enter(start, ROOT_ANCHOR, state);
  try {
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const name = frame.names[frame.next++];
      if (name === undefined) {
        closeFrame(frames.pop());
        continue;
      }
      const path = `${frame.path}/${name}`;
      const seen = lookAt(path, frame, rules);
      if (seen === undefined) continue;
      yield seen.entry;
      if (seen.state !== undefined) enter(path, frame.anchor, seen.state);
    }
  } finally {
    for (const frame of frames) closeFrame(frame);
  }
}

function lookAt<State>(
  path: BytePath,
  frame: Frame<State>,
  rules: WalkRules<State>,
): { entry: WalkEntry; state: State | undefined } | undefined {
  try {
    const access = accessPath(path, frame.anchor);
    const stats = fs.lstatSync(access, { bigint: true });
    const accepted = rules.accept(path, stats, frame.state);
    if (accepted === undefined) return undefined;
    const type = stats.mode & TYPE_MASK;
    const name = frame.anchor === ROOT_ANCHOR ? access.subarray(1) : Buffer.from(path.slice(1), "latin1");
    const entry =
      type === TYPE_SYMLINK
        ? { name, path, stats, link: fs.readlinkSync(access, { encoding: "buffer" }) }
        : { name, path, stats };
    return { entry, state: type === TYPE_DIRECTORY ? accepted.state : undefined };
  } catch (error) {
    report(path, error, rules);
    return undefined;
  }
}

function openFrame<State>(
  path: BytePath,
  anchor: Anchor,
  state: State,
  rules: WalkRules<State>,
): Frame<State> | undefined {
  let fd: number | undefined;
  try {
    const access = path === "" ? Buffer.from("/") : accessPath(path, anchor);
    const anchored = access.length > LONGEST_PATH_BYTES - 255;
    if (anchored) fd = fs.openSync(access, OPEN_DIRECTORY);
    const listed = fd;
    const read = (): string[] =>
      listed === undefined ? namesIn(access) : fs.readdirSync(pathOfDescriptor(listed), { encoding: "latin1" });
    const names = [...rules.members(path, state, read)].sort();
    const own = fd === undefined ? anchor : { prefix: pathOfDescriptor(fd), pathLength: path.length };
    return { path, state, names, next: 0, anchor: own, anchorFd: fd };
  } catch (error) {
    if (fd !== undefined) fs.closeSync(fd);
    report(path, error, rules);
    return undefined;
  }
}

function namesIn(directory: Buffer): string[] {
  if (!HAS_DESCRIPTOR_PATHS) return fs.readdirSync(directory, { encoding: "latin1" });
  const fd = openWithoutAccessTime(directory, OPEN_DIRECTORY);
  try {
    return fs.readdirSync(pathOfDescriptor(fd), { encoding: "latin1" });
  } finally {
    fs.closeSync(fd);
  }
}

function accessPath(path: BytePath, anchor: Anchor): Buffer {
  return Buffer.from(anchor === ROOT_ANCHOR ? path : `${anchor.prefix}${path.slice(anchor.pathLength)}`, "latin1");
}

function closeFrame<State>(frame: Frame<State> | undefined): void {
  if (frame?.anchorFd !== undefined) fs.closeSync(frame.anchorFd);
}

function report<State>(path: BytePath, error: unknown, rules: WalkRules<State>): void {
  const code = errnoOf(error);
  if (code === undefined) throw error;
  if (code !== "ENOENT") rules.failed(path, error);
}

/** A path as people read it: UTF-8 where it is that, else with replacement characters. */
export function showPath(path: BytePath): string {
  return path === "" ? "/" : Buffer.from(path, "latin1").toString("utf8");
}

/** The order of index entries: raw bytes, with `/` before every other byte. */
export function compareNames(left: Buffer, right: Buffer): number {
  const length = Math.min(left.length, right.length);
  let at = 0;
  while (at < length && left[at] === right[at]) at++;
  if (at === length) return left.length - right.length;
  return rank(left[at]) - rank(right[at]);
}

/** Whether a name lies in a directory, at any depth. All do in the one without a name. */
export function contains(directory: Buffer, name: Buffer): boolean {
  if (directory.length === 0) return true;
  return name[directory.length] === SLASH && directory.compare(name, 0, directory.length) === 0;
}

const SLASH = 0x2f;

function rank(byte: number | undefined): number {
  return byte === SLASH ? -1 : (byte ?? -2);
}
