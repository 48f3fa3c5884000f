import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isInstalled } from "./installed.ts";

/** Sparse: it takes what is written. */
const IMAGE_BYTES = 96 * 1024 ** 3;

/** A folder to work in: a round's, with the repositories, or a restore's. */
export interface Scratch {
  readonly folder: string;
  /** What kind of file system it lies on; figures of another kind can't be compared. */
  readonly kind: "a fresh ext4" | "a fresh ext4 in memory" | "a plain folder";
  /** Empties it. */
  renew(): void;
  /** May be called twice. */
  remove(): void;
}

/**
 * A file system of its own, made anew each time, where we may mount one: ext4 makes files many times slower for minutes after others were
 * removed, by whomever. Else a plain folder.
 * @param image of the file system: what is written to the folder goes there
 */
export function openScratch(folder: string, image = `${folder}.ext4`): Scratch {
  const isFresh = mountsHere(folder, image);
  const remove = (): void => {
    if (isFresh) unmount(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  const renew = (): void => {
    remove();
    mkdirSync(folder, { recursive: true });
    if (isFresh) mount(folder, image);
  };
  const fresh = image.startsWith(`${MEMORY}/`) ? "a fresh ext4 in memory" : "a fresh ext4";
  return { folder, kind: isFresh ? fresh : "a plain folder", renew, remove };
}

/**
 * Where restores go: to memory, since each commit of ext4's journal waits for the disk, which writes slower than any of the programs
 * restores. `undefined` where that can't be, or `bytes` would leave too little memory to everything else.
 */
export function openRestores(folder: string, bytes: number): Scratch | undefined {
  if (!existsSync(MEMORY) || bytes * 4 > availableMemory()) return undefined;
  const scratch = openScratch(folder, join(MEMORY, "backupctl-bench.ext4"));
  if (scratch.kind === "a fresh ext4 in memory") return scratch;
  scratch.remove();
  return undefined;
}

/**
 * Has free memory ready, `bytes` for files and as much for the pages above them. A virtual machine gives what is free back to its host, and
 * whoever takes it first waits until the host has found it again: a restore of 2 GB 16 s instead of 9.
 */
export function touchMemory(bytes: number): void {
  if (!existsSync(MEMORY) || bytes * 4 > availableMemory()) return;
  const file = openSync(join(MEMORY, "backupctl-bench.touched"), "w");
  rmSync(join(MEMORY, "backupctl-bench.touched"));
  try {
    execFileSync("head", ["-c", String(bytes * 2), "/dev/zero"], { stdio: ["ignore", file, "inherit"] });
  } finally {
    closeSync(file);
  }
}

const MEMORY = "/dev/shm";

/** Bytes that could be had without taking anybody's away (proc(5), MemAvailable). */
function availableMemory(): number {
  const kilobytes = /^MemAvailable: +(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

/** Root alone does not tell: a container's often may not. */
function mountsHere(folder: string, image: string): boolean {
  if (process.getuid?.() !== 0 || !["mkfs.ext4", "losetup", "mount", "umount"].every(isInstalled)) return false;
  mkdirSync(folder, { recursive: true });
  try {
    // Also what a killed run left.
    unmount(folder);
    mount(folder, image);
    unmount(folder);
    return true;
  } catch {
    return false;
  }
}

/** The image has no name any more, and the loop device goes with the mount: to unmount is to remove all. */
function mount(folder: string, image: string): void {
  try {
    writeFileSync(image, "");
    truncateSync(image, IMAGE_BYTES);
    run("mkfs.ext4", "-q", image);
    const device = run("losetup", "--find", "--show", "--direct-io=on", image).trim();
    try {
      run("mount", "-o", "noinit_itable", device, folder);
    } finally {
      run("losetup", "--detach", device);
    }
  } finally {
    rmSync(image, { force: true });
  }
}

/** Lazily: a program that was interrupted may still be about to end. */
function unmount(folder: string): void {
  try {
    while (true) run("umount", "--lazy", folder);
  } catch {
    // Nothing is mounted there (any more).
  }
}

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
