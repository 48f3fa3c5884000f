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
  /** The members of a directory to look at, in any order, without a slash; `read` lists what is really there. `undefined` is a pause. */
  members(
    directory: BytePath,
    state: State,
    read: () => Generator<undefined, string[]>,
  ): Generator<undefined, readonly string[]>;
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

/** A directory of this size has so many names that listing it at once would keep others waiting; most have 4 KiB. */
const LARGE_DIRECTORY_BYTES = 256n * 1024n;
const NAMES_BETWEEN_PAUSES = 1_000;

/**
 * Everything below `start` that the rules accept, `start` itself excepted, in index order: raw bytes, `/` before every other
 * byte; so a directory comes directly before what is in it. Follows no symlink. Synchronous: the caller yields to the
 * event loop between entries as it sees fit, and has a pause (`undefined`) to do so in where many names are listed or passed over.
 * Holds one directory's names for each level, and no statistics.
 */
export function* walk<State>(
  start: BytePath,
  state: State,
  rules: WalkRules<State>,
): Generator<WalkEntry | undefined, void> {
  const frames: Frame<State>[] = [];
  function* enter(directory: Directory<State>): Generator<undefined, void> {
    const frame = yield* openFrame(directory, rules);
    if (frame !== undefined) frames.push(frame);
  }
  let passedOver = 0;
  yield* enter({ path: start, anchor: ROOT_ANCHOR, state, isLarge: true });
  try {
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const name = frame.names[frame.next++];
      if (name === undefined) {
        closeFrame(frames.pop());
        continue;
      }
      const path = `${frame.path}/${name}`;
      const seen = lookAt(path, frame, rules);
      if (seen === undefined) {
        if (++passedOver % NAMES_BETWEEN_PAUSES === 0) yield undefined;
        continue;
      }
      yield seen.entry;
      if (seen.state === undefined) continue;
      const isLarge = seen.entry.stats.size >= LARGE_DIRECTORY_BYTES;
      yield* enter({ path, anchor: frame.anchor, state: seen.state, isLarge });
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

/** One to enter. */
interface Directory<State> {
  readonly path: BytePath;
  readonly anchor: Anchor;
  readonly state: State;
  /** Or of a size that nobody has asked for. */
  readonly isLarge: boolean;
}

function* openFrame<State>(
  { path, anchor, state, isLarge }: Directory<State>,
  rules: WalkRules<State>,
): Generator<undefined, Frame<State> | undefined> {
  let fd: number | undefined;
  let frame: Frame<State> | undefined;
  try {
    const access = path === "" ? Buffer.from("/") : accessPath(path, anchor);
    const anchored = access.length > LONGEST_PATH_BYTES - 255;
    if (anchored) fd = fs.openSync(access, OPEN_DIRECTORY);
    const listed = fd;
    const read = (): Generator<undefined, string[]> =>
      listed === undefined ? namesIn(access, isLarge) : namesInDescriptor(listed, isLarge);
    const names = [...(yield* rules.members(path, state, read))].sort();
    const own = fd === undefined ? anchor : { prefix: pathOfDescriptor(fd), pathLength: path.length };
    frame = { path, state, names, next: 0, anchor: own, anchorFd: fd };
  } catch (error) {
    report(path, error, rules);
  } finally {
    if (frame === undefined && fd !== undefined) fs.closeSync(fd);
  }
  return frame;
}

function* namesIn(directory: Buffer, isLarge: boolean): Generator<undefined, string[]> {
  if (!HAS_DESCRIPTOR_PATHS) return fs.readdirSync(directory, { encoding: "latin1" });
  const fd = openWithoutAccessTime(directory, OPEN_DIRECTORY);
  try {
    return yield* namesInDescriptor(fd, isLarge);
  } finally {
    fs.closeSync(fd);
  }
}

function* namesInDescriptor(fd: number, isLarge: boolean): Generator<undefined, string[]> {
  const directory = pathOfDescriptor(fd);
  const names = isLarge ? yield* namesInPieces(directory) : undefined;
  return names ?? fs.readdirSync(directory, { encoding: "latin1" });
}

/** `undefined` where that fails: on file systems that tell no types Node looks at each name for one, and does not find those that are not UTF-8. */
function* namesInPieces(directory: string): Generator<undefined, string[] | undefined> {
  const names: string[] = [];
  try {
    const opened = fs.opendirSync(directory, { encoding: "latin1" });
    try {
      for (let entry = opened.readSync(); entry !== null; entry = opened.readSync())
        if (names.push(entry.name) % NAMES_BETWEEN_PAUSES === 0) yield undefined;
    } finally {
      opened.closeSync();
    }
    return names;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
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
