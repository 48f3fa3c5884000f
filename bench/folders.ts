import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

export interface FileSize {
  readonly path: string;
  readonly bytes: number;
}

/** All regular files below a folder, in a fixed order. */
export function filesBelow(folder: string): FileSize[] {
  const found: FileSize[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...filesBelow(path));
    else if (entry.isFile()) found.push({ path, bytes: lstatSync(path).size });
  }
  return found;
}

export function bytesBelow(folder: string): number {
  return filesBelow(folder).reduce((sum, { bytes }) => sum + bytes, 0);
}
