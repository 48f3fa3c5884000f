import { lstatSync, readlinkSync } from "node:fs";
import type { TreeNode } from "../../src/domain/artifact.ts";

const LONG_AGO_NS = 10_000_000_000n;

/** A path as the files engine would give it; its stat is long enough ago to be trusted, unless `young`. */
export function nodeAt(path: string, young = false): TreeNode {
  const stats = lstatSync(path, { bigint: true });
  const other = stats.isSymbolicLink() ? "symlink" : "file";
  const type = stats.isDirectory() ? "directory" : other;
  return {
    name: Buffer.from(path.slice(1)),
    type,
    size: type === "file" ? Number(stats.size) : 0,
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    inode: stats.ino,
    ...(type === "symlink" ? { link: readlinkSync(path, { encoding: "buffer" }) } : {}),
    blocks: Number(stats.blocks),
    statAtNs: stats.ctimeNs + (young ? 0n : LONG_AGO_NS),
  };
}
