import type { ExtendedAttributes, NodeType, TreeNode } from "../domain/artifact.ts";
import { DamageError } from "./block.ts";

/**
 * One entry of a file tree as a line of the index: docs/format.md, "Index". Everything that `stat` tells comes first, in
 * fixed order, so that an unchanged entry is found by comparing the beginning of its line, without parsing it.
 */

/** Times within this span before the stat may still change without showing. */
const RACY_NS = 2_000_000_000n;

/** The line up to and without what follows `stat`: no closing brace. */
export function statPart(node: TreeNode): string {
  const name = node.name.toString("utf8");
  const fields = Buffer.from(name, "utf8").equals(node.name)
    ? [`"name":${JSON.stringify(name)}`]
    : [`"name_b64":"${node.name.toString("base64")}"`];
  fields.push(`"type":"${node.type}"`, `"size":${node.size}`, `"mode":${node.mode}`);
  fields.push(`"uid":${node.uid}`, `"gid":${node.gid}`);
  if (node.user !== undefined) fields.push(`"user":${JSON.stringify(node.user)}`);
  if (node.group !== undefined) fields.push(`"group":${JSON.stringify(node.group)}`);
  fields.push(`"mtime":"${node.mtimeNs}"`, `"ctime":"${node.ctimeNs}"`, `"inode":"${node.inode}"`);
  if (node.link !== undefined) fields.push(linkField(node.link));
  if (node.hardLink !== undefined) fields.push(`"hard_link":"${node.hardLink}"`);
  return `{${fields.join(",")}`;
}

function linkField(link: Buffer): string {
  const text = link.toString("utf8");
  return Buffer.from(text, "utf8").equals(link)
    ? `"link":${JSON.stringify(text)}`
    : `"link_b64":"${link.toString("base64")}"`;
}

/** Follows the stat part where the next backup must not take the entry as unchanged. */
const UNTRUSTED_MARK = ',"untrusted":true';

export function isRacy(node: TreeNode): boolean {
  return node.mtimeNs > node.statAtNs - RACY_NS || node.ctimeNs > node.statAtNs - RACY_NS;
}

export interface LineParts {
  readonly statPart: string;
  /** Changed while it was read, or so shortly before that a further change could not be told. */
  readonly untrusted: boolean;
  readonly changed: boolean;
  readonly attributes: ExtendedAttributes | undefined;
  readonly holes: readonly (readonly [number, number])[];
  /** Tuples as JSON text. */
  readonly chunks: readonly string[];
}

export const CHUNKS_PER_LINE = 512;

/** The lines of one entry, each with its line feed. */
export function treeLines(parts: LineParts): string {
  const fields = [parts.statPart];
  if (parts.untrusted) fields.push(UNTRUSTED_MARK);
  if (parts.changed) fields.push(',"changed":true');
  if (parts.attributes !== undefined) fields.push(`,"xattrs":${JSON.stringify(sorted(parts.attributes))}`);
  if (parts.holes.length > 0) fields.push(`,"holes":${JSON.stringify(parts.holes)}`);
  const { chunks } = parts;
  if (chunks.length > 0) fields.push(`,"chunks":[${chunks.slice(0, CHUNKS_PER_LINE).join(",")}]`);
  const lines = [`${fields.join("")}}\n`];
  for (let at = CHUNKS_PER_LINE; at < chunks.length; at += CHUNKS_PER_LINE) {
    lines.push(`{"more":${lines.length},"chunks":[${chunks.slice(at, at + CHUNKS_PER_LINE).join(",")}]}\n`);
  }
  return lines.join("");
}

function sorted(attributes: ExtendedAttributes): ExtendedAttributes {
  return Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** True if this line of the parent's index says the same of the file as `statPart` does, and may be trusted to. */
export function isUnchanged(line: Buffer, statPart: Buffer): boolean {
  if (line.length <= statPart.length || statPart.compare(line, 0, statPart.length) !== 0) return false;
  return line.toString("latin1", statPart.length, statPart.length + UNTRUSTED_MARK.length) !== UNTRUSTED_MARK;
}

/**
 * True if an entry's new lines differ from the parent's in nothing that is worth a new backup: not in the mark of one that is too
 * young to be trusted, nor in the times of a directory, which change with its entries, and those speak for themselves.
 */
export function saysTheSame(before: readonly Buffer[], lines: string): boolean {
  return essence(before.map((line) => `${line.toString("utf8")}\n`).join("")) === essence(lines);
}

const DIRECTORY_TIMES = /("type":"directory",.*)"mtime":"-?\d+","ctime":"-?\d+",/;

function essence(lines: string): string {
  return lines.replace(UNTRUSTED_MARK, "").replace(DIRECTORY_TIMES, "$1");
}

/** Raw name bytes of an entry's line; `undefined` for other lines. Only the beginning of the line is looked at. */
export function nameOfLine(line: Buffer): Buffer | undefined {
  if (line.indexOf('{"name":"', 0, "latin1") === 0) {
    const end = endOfString(line, 9);
    const text = line.subarray(9, end);
    return text.includes(0x5c) ? Buffer.from(unescaped(text), "utf8") : text;
  }
  if (line.indexOf('{"name_b64":"', 0, "latin1") === 0) {
    return Buffer.from(line.toString("latin1", 13, endOfString(line, 13)), "base64");
  }
  return undefined;
}

function unescaped(text: Buffer): string {
  try {
    return String(JSON.parse(`"${text.toString("utf8")}"`));
  } catch (error) {
    throw new DamageError("a name in the index is not JSON", { cause: error });
  }
}

function endOfString(line: Buffer, from: number): number {
  for (let at = from; at < line.length; at++) {
    if (line[at] === 0x5c) at++;
    else if (line[at] === 0x22) return at;
  }
  throw new DamageError("index line ends inside a name");
}

export function isNodeType(text: string): text is NodeType {
  return text === "file" || text === "directory" || text === "symlink";
}
