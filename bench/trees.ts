import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
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
  readonly manyEntries: number;
  readonly sparseBytes: number;
  readonly dumpBytes: number;
}

export const FULL_SIZES: Sizes = {
  mixedBytes: 2300 * MIB,
  smallFiles: 100_000,
  largeFiles: 4,
  largeFileBytes: 512 * MIB,
  databaseBytes: 840 * MIB,
  manyEntries: 1_000_000,
  sparseBytes: 20_480 * MIB,
  dumpBytes: 4096 * MIB,
};

export const QUICK_SIZES: Sizes = {
  mixedBytes: 100 * MIB,
  smallFiles: 5_000,
  largeFiles: 2,
  largeFileBytes: 64 * MIB,
  databaseBytes: 60 * MIB,
  manyEntries: 20_000,
  sparseBytes: 512 * MIB,
  dumpBytes: 64 * MIB,
};

export type TreeName = "mixed" | "small" | "large" | "million" | "sparse" | "dump";

/** A tree to back up: the same in every run, made once and kept. */
export function treeOf(name: TreeName, sizes: Sizes, cache: string): string {
  const size = {
    mixed: sizes.mixedBytes / MIB,
    small: sizes.smallFiles,
    large: (sizes.largeFiles * sizes.largeFileBytes) / MIB,
    million: sizes.manyEntries,
    sparse: sizes.sparseBytes / MIB,
    dump: sizes.dumpBytes / MIB,
  };
  const folder = join(cache, `${name}-${Math.round(size[name])}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  const write = {
    mixed: () => copyMixedFiles(unfinished, sizes.mixedBytes),
    small: () => writeSmallFiles(unfinished, sizes.smallFiles),
    large: () => writeLargeFiles(unfinished, sizes.largeFiles, sizes.largeFileBytes),
    million: () => writeManyEntries(unfinished, sizes.manyEntries),
    sparse: () => writeSparseFile(join(unfinished, "disk.img"), sizes.sparseBytes),
    dump: () => writeDump(join(unfinished, DUMP_NAME), sizes.dumpBytes),
  };
  write[name]();
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

const ENTRIES_PER_FOLDER = 1000;

/** So many folders and files together: every other file is empty, the others hold their number. */
function writeManyEntries(folder: string, count: number): void {
  let parent = folder;
  for (let number = 0; number < count; number++) {
    if (number % ENTRIES_PER_FOLDER === 0) {
      parent = join(folder, String(number));
      mkdirSync(parent);
    } else writeFileSync(join(parent, String(number)), number % 2 === 0 ? "" : `${number}\n`);
  }
}

const PIECES_OF_DATA = 20;
const PIECE_BYTES = 256 * 1024;

/** One file, such as a virtual machine's disk: some pieces of data, and holes around them. */
function writeSparseFile(path: string, bytes: number): void {
  const file = openSync(path, "w");
  const distance = Math.floor(bytes / PIECES_OF_DATA);
  for (let piece = 0; piece < PIECES_OF_DATA; piece++) {
    writeSync(file, randomText(piece, PIECE_BYTES), 0, PIECE_BYTES, piece * distance + MIB);
  }
  ftruncateSync(file, bytes);
  closeSync(file);
}

export const DUMP_NAME = "dump.sql";
const ROWS = 8192;
const CHARACTERS = 96;

/** Rows, which compress to less than half. */
function writeDump(path: string, bytes: number): void {
  const file = openSync(path, "w");
  let left = bytes;
  for (let seed = 0; left > 0; seed++) {
    const random = randomNumbers(seed, (ROWS * CHARACTERS * 3) / 4).toString("base64");
    let rows = "";
    for (let row = 0; row < ROWS; row++) {
      const reference = random.slice(row * CHARACTERS, (row + 1) * CHARACTERS);
      rows += `insert into orders values (${seed * ROWS + row}, 'customer${row}@example.com', 'front door', '${reference}');\n`;
    }
    left -= writeSync(file, Buffer.from(rows, "latin1"), 0, Math.min(rows.length, left));
  }
  closeSync(file);
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

function flip({ path, bytes }: Pick<FileSize, "path" | "bytes">, at: number, length: number): void {
  const piece = Buffer.alloc(Math.min(length, bytes - at));
  const file = openSync(path, "r+");
  readSync(file, piece, 0, piece.length, at);
  for (let i = 0; i < piece.length; i++) piece[i] = (piece[i] as number) ^ 1;
  writeSync(file, piece, 0, piece.length, at);
  closeSync(file);
}
