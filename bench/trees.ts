import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type FileSize, filesBelow } from "./folders.ts";
import { randomNumbers, randomText } from "./random-text.ts";

const MIB = 1024 * 1024;

/** How much of each kind of data is made. */
export interface Sizes {
  readonly mixedBytes: number;
  readonly smallFiles: number;
  readonly largeFiles: number;
  readonly largeFileBytes: number;
  readonly databaseBytes: number;
}

export const FULL_SIZES: Sizes = {
  mixedBytes: 2300 * MIB,
  smallFiles: 100_000,
  largeFiles: 4,
  largeFileBytes: 512 * MIB,
  databaseBytes: 840 * MIB,
};

export const QUICK_SIZES: Sizes = {
  mixedBytes: 200 * MIB,
  smallFiles: 5_000,
  largeFiles: 2,
  largeFileBytes: 64 * MIB,
  databaseBytes: 60 * MIB,
};

export type TreeName = "mixed" | "small" | "large";

/** A tree to back up: the same in every run, made once and kept. */
export function treeOf(name: TreeName, sizes: Sizes, cache: string): string {
  const size = {
    mixed: sizes.mixedBytes / MIB,
    small: sizes.smallFiles,
    large: (sizes.largeFiles * sizes.largeFileBytes) / MIB,
  };
  const folder = join(cache, `${name}-${Math.round(size[name])}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  if (name === "mixed") copyMixedFiles(unfinished, sizes.mixedBytes);
  else if (name === "small") writeSmallFiles(unfinished, sizes.smallFiles);
  else writeLargeFiles(unfinished, sizes.largeFiles, sizes.largeFileBytes);
  renameSync(unfinished, folder);
  return folder;
}

/** Real files: programs, libraries, documentation, images, sources. Chosen by their names, so that every kind is among them. */
function copyMixedFiles(folder: string, wantedBytes: number): void {
  const all = filesBelow("/usr").filter(({ bytes }) => bytes < 64 * MIB);
  const total = all.reduce((sum, { bytes }) => sum + bytes, 0);
  const share = wantedBytes / total;
  if (share > 1.15) throw new Error(`/usr holds ${total} bytes: too little for a mixed set of ${wantedBytes}`);
  for (const { path } of all) {
    if (createHash("md5").update(path).digest().readUInt32BE() / 2 ** 32 >= share) continue;
    const copy = join(folder, path);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(path, copy);
    chmodSync(copy, 0o644);
    utimesSync(copy, 1_700_000_000, 1_700_000_000);
  }
}

const SMALL_FILE_BYTES = 4096;
const FILES_PER_FOLDER = 100;

function writeSmallFiles(folder: string, count: number): void {
  for (let number = 0; number < count; number++) {
    const parent = join(folder, String(Math.floor(number / FILES_PER_FOLDER)).padStart(4, "0"));
    if (number % FILES_PER_FOLDER === 0) mkdirSync(parent);
    writeFileSync(join(parent, `${number}.txt`), randomText(number, SMALL_FILE_BYTES));
  }
}

/** In turn: text such as logs, and bytes that do not compress, such as films. */
function writeLargeFiles(folder: string, count: number, bytes: number): void {
  for (let number = 0; number < count; number++) {
    const file = openSync(join(folder, `${number}.${number % 2 === 0 ? "log" : "film"}`), "w");
    for (let at = 0; at < bytes; at += MIB) {
      const seed = number * 1_000_000 + at / MIB;
      writeSync(file, number % 2 === 0 ? randomText(seed, MIB) : randomNumbers(seed, MIB));
    }
    closeSync(file);
  }
}

const LARGE_BYTES = 64 * MIB;
const CHANGED_BYTES = 64 * 1024;

/**
 * Changes one file in a hundred, up to 64 KB in its middle, and in large files one MiB in a hundred. Doing it once more restores
 * what was there: it flips the lowest bit of each byte, so the bytes compress as before.
 */
export function changeOnePercent(tree: string): void {
  for (const [number, { path, bytes }] of filesBelow(tree).entries()) {
    if (bytes >= LARGE_BYTES) for (let at = MIB; at < bytes; at += 100 * MIB) flip({ path, bytes }, at, MIB);
    else if (number % 100 === 50)
      flip({ path, bytes }, Math.max(0, Math.floor((bytes - CHANGED_BYTES) / 2)), CHANGED_BYTES);
  }
}

function flip({ path, bytes }: FileSize, at: number, length: number): void {
  const piece = Buffer.alloc(Math.min(length, bytes - at));
  const file = openSync(path, "r+");
  readSync(file, piece, 0, piece.length, at);
  for (let i = 0; i < piece.length; i++) piece[i] = (piece[i] as number) ^ 1;
  writeSync(file, piece, 0, piece.length, at);
  closeSync(file);
}
