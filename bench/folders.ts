import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

export interface FileSize {
  readonly path: string;
  readonly bytes: number;
  /** Without its holes. */
  readonly allocatedBytes: number;
}

/** All regular files below a folder, in a fixed order. */
export function filesBelow(folder: string, found: FileSize[] = []): FileSize[] {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) filesBelow(path, found);
    else if (entry.isFile()) {
      const { size, blocks } = lstatSync(path);
      found.push({ path, bytes: size, allocatedBytes: blocks * 512 });
    }
  }
  return found;
}

export function bytesBelow(folder: string): number {
  return sumOf(filesBelow(folder), "bytes");
}

export function sumOf(files: readonly FileSize[], size: "bytes" | "allocatedBytes"): number {
  return files.reduce((sum, file) => sum + file[size], 0);
}
