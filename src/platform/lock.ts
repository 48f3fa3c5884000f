import { randomInt } from "node:crypto";
import { closeSync, promises as fs, fstatSync, openSync, type Stats, statSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupctlError, messageOf } from "../errors.ts";
import { type Clock, systemClock } from "./clock.ts";
import { errnoOf, makePrivateDirectory } from "./files.ts";
import {
  currentHolder,
  type Holder,
  type HolderFacts,
  holderFile,
  readHolderFile,
  writeHolder,
} from "./lock-holder.ts";

export type { Holder } from "./lock-holder.ts";

export interface LockOptions {
  /** How long to wait for another holder; 0 or none: not at all. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

export interface Lock {
  /** Who held the lock last, if it died without releasing it: its leavings are the caller's to clean. */
  readonly previousHolder: Holder | undefined;
  /** Changes what `readHolder` shows; cheap enough for once a second. */
  update(facts: Partial<HolderFacts>): Promise<void>;
  /** May be called again. */
  release(): Promise<void>;
}

export interface LockState {
  /** Someone holds the lock at this moment. */
  readonly alive: boolean;
  /** Who holds it, or who died holding it. */
  readonly holder: Holder | undefined;
}

const POLL_MS = 200;
/** Readers probe with a shared lock for microseconds; a writer that meets them tries again. */
const TRIES_AMONG_READERS = 50;

/**
 * One holder per lock file among all processes of this host, however they end: the kernel drops the lock with the process.
 * The file itself stays, because removing it would let two processes lock two files of one name.
 * @throws `BACKUP_IN_PROGRESS` (`RESTORE_IN_PROGRESS` if the holder restores) if it is still held after `waitMs`.
 */
export async function acquireLock(file: string, facts: HolderFacts, options: LockOptions = {}): Promise<Lock> {
  const clock = options.clock ?? systemClock;
  const fd = await take(file, clock, options);
  try {
    const previousHolder = await readHolderFile(file);
    let holder = currentHolder(facts, clock);
    await writeHolder(file, holder);
    let writing: Promise<void> = Promise.resolve();
    let released = false;
    return {
      previousHolder,
      update(changes) {
        if (released) return Promise.resolve();
        holder = { ...holder, ...changes };
        const snapshot = holder;
        writing = writing.catch(() => undefined).then(() => writeHolder(file, snapshot));
        return writing;
      },
      async release() {
        if (released) return;
        released = true;
        await writing.catch(() => undefined);
        // The facts go first: whoever finds facts without a lock takes them for a dead holder's.
        await fs.rm(holderFile(file), { force: true }).finally(() => closeSync(fd));
      },
    };
  } catch (error) {
    closeSync(fd);
    throw lockError(file, error);
  }
}

/** Who holds the lock, without disturbing them and without writing anything. */
export async function readHolder(file: string): Promise<LockState> {
  // Facts and lock change one after the other: an answer counts when the facts were the same before and after the probe.
  for (let attempt = 0; ; attempt++) {
    const before = await readHolderFile(file);
    const alive = await isHeld(file);
    const after = await readHolderFile(file);
    const settled = before?.pid === after?.pid && before?.since === after?.since && (!alive || after !== undefined);
    if (settled || attempt === 10) return { alive, holder: after };
    await sleep(10);
  }
}

async function take(file: string, clock: Clock, options: LockOptions): Promise<number> {
  const deadline = clock.monotonicMs() + (options.waitMs ?? 0);
  await makePrivateDirectory(path.dirname(file)).catch((error: unknown) => {
    throw lockError(file, error);
  });
  for (;;) {
    options.signal?.throwIfAborted();
    const fd = await tryTake(file);
    if (fd !== undefined) return fd;
    const leftMs = deadline - clock.monotonicMs();
    if (leftMs <= 0) throw inProgress(file, (await readHolder(file)).holder);
    await sleepUnlessAborted(Math.min(POLL_MS, leftMs), options.signal);
  }
}

/** The descriptor is a plain number: a FileHandle would be closed, and the lock dropped, by the garbage collector. */
async function tryTake(file: string): Promise<number | undefined> {
  const native = await import("fs-native-extensions");
  const fd = openLockFile(file);
  try {
    for (let tries = 0; tries < TRIES_AMONG_READERS; tries++) {
      if (native.tryLock(fd)) {
        if (isStillAt(file, fd)) return fd;
        break;
      }
      // A shared lock is granted beside readers only; refused means that a real holder is there.
      if (!native.tryLock(fd, { shared: true })) break;
      native.unlock(fd);
      await sleep(randomInt(1, 5));
    }
  } catch (error) {
    closeSync(fd);
    throw lockError(file, error);
  }
  closeSync(fd);
  return undefined;
}

function openLockFile(file: string): number {
  try {
    return openSync(file, "a+", 0o600);
  } catch (error) {
    throw lockError(file, error);
  }
}

/** False if somebody removed the lock file meanwhile: a lock on a file without a name excludes nobody. */
function isStillAt(file: string, fd: number): boolean {
  let named: Stats;
  try {
    named = statSync(file);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
  const held = fstatSync(fd);
  return named.ino === held.ino && named.dev === held.dev;
}

async function isHeld(file: string): Promise<boolean> {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return false;
    throw lockError(file, error);
  }
  try {
    const native = await import("fs-native-extensions");
    // Closing the descriptor drops the shared lock again.
    return !native.tryLock(fd, { shared: true });
  } catch (error) {
    throw lockError(file, error);
  } finally {
    closeSync(fd);
  }
}

async function sleepUnlessAborted(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

function inProgress(file: string, holder: Holder | undefined): BackupctlError {
  const hint = "Watch it with `backupctl status`, or wait for it with `--lock-wait 10m`.";
  if (holder === undefined) {
    return new BackupctlError("BACKUP_IN_PROGRESS", `another backupctl holds ${file}`, { hint, retryable: true });
  }
  const { operation, backupId, pid, host, user, since } = holder;
  const of = backupId === undefined ? "" : ` of backup ${backupId}`;
  return new BackupctlError(
    operation === "restore" ? "RESTORE_IN_PROGRESS" : "BACKUP_IN_PROGRESS",
    `${operation}${of} is in progress since ${since} (process ${pid} of ${user} on ${host})`,
    { hint, retryable: true, data: { operation, backupId: backupId ?? null, pid, host, user, since } },
  );
}

function lockError(file: string, error: unknown): unknown {
  if (error instanceof BackupctlError || errnoOf(error) === undefined) return error;
  const errno = errnoOf(error) ?? "";
  if (["ENOSPC", "EDQUOT"].includes(errno)) {
    return new BackupctlError("INSUFFICIENT_STORAGE", `there is no room to lock ${file}: ${messageOf(error)}`, {
      cause: error,
      hint: "Free some space there, or set BACKUPCTL_STATE_DIR to a folder with room.",
    });
  }
  return new BackupctlError("CATALOG_FAILED", `cannot lock ${file}: ${messageOf(error)}`, {
    cause: error,
    hint: `${LOCK_REFUSALS[errno] ?? ""}Set state_dir in the config, or BACKUPCTL_STATE_DIR, to a folder that this user may write, on a file system with locks.`,
  });
}

const LOCK_REFUSALS: Readonly<Record<string, string>> = {
  EROFS: "Its file system is mounted read-only: look at `dmesg`. If that is meant so: ",
  EACCES: "Run it as the user whose the state directory is. Or: ",
};
