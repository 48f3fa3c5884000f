import childProcess from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";

/**
 * Loaded into the program by NODE_OPTIONS: counts what changes a file or a database, here or through a socket or a program, and kills the process in place of the effect number
 * KILL_BEFORE, which is never made. At a regular end it writes the number of effects to the file COUNT_EFFECTS.
 */

const CALLS =
  "appendFile chmod chown cp fchmod fchown fdatasync fsync ftruncate futimes lchmod lchown link lutimes mkdir mkdtemp";
const MORE_CALLS = "rename rm rmdir symlink truncate unlink utimes write writeFile writev";
const NAMES = `${CALLS} ${MORE_CALLS}`.split(" ");
const HANDLE_NAMES = [
  "appendFile",
  "chmod",
  "chown",
  "datasync",
  "sync",
  "truncate",
  "utimes",
  "write",
  "writeFile",
  "writev",
];
const READING = new Set<unknown>([undefined, "r", "rs", "sr", 0]);

const killBefore = Number(process.env.KILL_BEFORE ?? 0);
const { writeFileSync } = fs;
/** One count for all threads: the workers write files, too. */
const effects = isMainThread ? new Int32Array(new SharedArrayBuffer(4)) : sharedCount();
if (isMainThread) setEnvironmentData("effects", effects);

function sharedCount(): Int32Array {
  const shared = getEnvironmentData("effects");
  if (!(shared instanceof Int32Array)) throw new Error("the main thread did not begin to count");
  return shared;
}

function count(): void {
  if (Atomics.add(effects, 0, 1) + 1 === killBefore) process.kill(process.pid, "SIGKILL");
}

type Method = (this: unknown, ...given: unknown[]) => unknown;

/** `isEffect` tells by the arguments; without it every call is one. */
function watch(holder: object, name: string, isEffect: (given: unknown[]) => boolean = () => true): void {
  const original: Method | undefined = Reflect.get(holder, name);
  if (typeof original !== "function") return;
  Reflect.set(holder, name, function watched(this: unknown, ...given: unknown[]): unknown {
    if (isEffect(given)) count();
    return original.apply(this, given);
  });
}

function opensForWriting([, flags]: unknown[]): boolean {
  return !READING.has(flags) && !(typeof flags === "number" && (flags & 3) === 0);
}

async function fileHandlePrototype(): Promise<object> {
  const handle = await fs.promises.open(process.execPath, "r");
  await handle.close();
  return Object.getPrototypeOf(handle);
}

async function watchFiles(): Promise<void> {
  for (const name of NAMES) {
    watch(fs, `${name}Sync`);
    watch(fs.promises, name);
  }
  watch(fs, "openSync", opensForWriting);
  watch(fs.promises, "open", opensForWriting);
  const handles = await fileHandlePrototype();
  for (const name of HANDLE_NAMES) watch(handles, name);
  syncBuiltinESMExports();
}

async function watchDatabases(): Promise<void> {
  const { default: Sqlite } = await import("better-sqlite3");
  const database = new Sqlite(":memory:");
  watch(Object.getPrototypeOf(database), "exec");
  watch(Object.getPrototypeOf(database), "pragma");
  watch(Object.getPrototypeOf(database.prepare("SELECT 1")), "run");
  database.close();
}

/** What a database server and its tools are told. */
function watchOthers(): void {
  watch(net.Socket.prototype, "write");
  watch(childProcess, "spawn");
  syncBuiltinESMExports();
}

await watchFiles();
if (isMainThread) {
  await watchDatabases();
  watchOthers();
  const { COUNT_EFFECTS } = process.env;
  if (COUNT_EFFECTS !== undefined) process.on("exit", () => writeFileSync(COUNT_EFFECTS, `${effects[0]}`));
}
