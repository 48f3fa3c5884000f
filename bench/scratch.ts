import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { isInstalled } from "./installed.ts";

/** Sparse: it takes what is written. */
const IMAGE_BYTES = 96 * 1024 ** 3;

/** The folder of a round: repositories, and what is restored from them. */
export interface Scratch {
  readonly folder: string;
  /** What kind of file system it lies on; figures of another kind can't be compared. */
  readonly kind: "a fresh ext4 for each round" | "a plain folder";
  /** Empties it. */
  renew(): void;
  /** May be called twice. */
  remove(): void;
}

/**
 * A file system of its own, made anew each time, where we may mount one: ext4 makes files many times slower for minutes after others were
 * removed, by whomever. Else a plain folder.
 */
export function openScratch(folder: string): Scratch {
  const isFresh = mountsHere(folder);
  const remove = (): void => {
    if (isFresh) unmount(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  const renew = (): void => {
    remove();
    mkdirSync(folder, { recursive: true });
    if (isFresh) mount(folder);
  };
  return { folder, kind: isFresh ? "a fresh ext4 for each round" : "a plain folder", renew, remove };
}

/** Root alone does not tell: a container's often may not. */
function mountsHere(folder: string): boolean {
  if (process.getuid?.() !== 0 || !["mkfs.ext4", "losetup", "mount", "umount"].every(isInstalled)) return false;
  mkdirSync(folder, { recursive: true });
  try {
    // Also what a killed run left.
    unmount(folder);
    mount(folder);
    unmount(folder);
    return true;
  } catch {
    return false;
  }
}

/** The image has no name any more, and the loop device goes with the mount: to unmount is to remove all. */
function mount(folder: string): void {
  const image = `${folder}.ext4`;
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
