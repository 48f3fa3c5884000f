import { type FileInfo, parseList } from "basic-ftp";

/**
 * A folder's entries but for itself and its parent. The library leaves out each line that it can't read, and then a listing
 * that lacks an object would pass for a whole one.
 * @throws where a line is no entry.
 */
export function parseListing(text: string): FileInfo[] {
  const entries = parseList(text);
  const lines = text.split(/\r?\n/).filter(isEntry);
  if (lines.length === entries.length) return entries;
  throw new Error(`of ${lines.length} lines of the server's listing only ${entries.length} can be read`);
}

/** Neither `total 12`, nor the folder itself or its parent as LIST (`.`, `..`) and MLSD (`type=cdir`) have them. */
function isEntry(line: string): boolean {
  return line.trim() !== "" && !/^total\b/.test(line) && !/\s\.\.?$/.test(line) && !/^(\S*;)?type=[cp]dir;/i.test(line);
}
