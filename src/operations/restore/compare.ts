import * as path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { RestoreOutcome } from "../../engines/engine.ts";
import type { TreeEntry } from "../../format/index-reader.ts";
import { contentProblem, type ExpectedRange } from "../../platform/tree/content-check.ts";
import type { TreeSight, TreeTarget } from "../../platform/tree/tree-writer.ts";
import { withTurns } from "../../platform/turns.ts";
import { HardLinkGroups } from "./facts.ts";
import { DataLayout } from "./layout.ts";

type Check = RestoreOutcome["checks"][number];

/** Few: others may have work to hand out meanwhile. */
const ENTRIES_BETWEEN_TURNS = 100;
const SHOWN = 5;
const MODE_BITS = 0o7777n;
const TYPE_MASK = 0o170000n;
const TYPES = { file: 0o100000n, directory: 0o040000n, symlink: 0o120000n } as const;

/** What a restore can't do without; modes and times are the target's file system's to refuse. */
export const STRUCTURE_CHECK = "entries";

export interface ComparedEntry {
  readonly entry: TreeEntry;
  readonly name: Buffer;
  readonly isParent: boolean;
}

/**
 * Looks at every entry that was written: is it there, of its type, size, mode, time, link text, and linked to its peers.
 * @param seen asked at the end: entries that were looked at elsewhere and are none of `entries`
 */
export async function compareTree(
  entries: Iterable<ComparedEntry> | AsyncIterable<ComparedEntry>,
  tree: TreeTarget,
  madeParents: ReadonlySet<string>,
  signal: AbortSignal,
  seen: () => { readonly entries: number; readonly bytes: number } = () => ({ entries: 0, bytes: 0 }),
): Promise<readonly Check[]> {
  const structure = new Differences();
  const metadata = new Differences();
  const groups = new HardLinkGroups();
  const inodes = new Map<string, bigint>();
  let count = 0;
  let bytes = 0;
  for await (const { entry, name, isParent } of entries) {
    if (++count % ENTRIES_BETWEEN_TURNS === 0) await turn();
    signal.throwIfAborted();
    const sight = tree.look(name);
    const wrong =
      sight === undefined
        ? "is missing"
        : (structureProblem(entry, sight) ?? linkProblem(entry, sight, groups, inodes));
    if (wrong !== undefined || sight === undefined) {
      structure.add(entry, wrong ?? "is missing");
      continue;
    }
    bytes += entry.size;
    const isOthers = isParent && !madeParents.has(name.toString("latin1"));
    const problem = isOthers ? undefined : metadataProblem(entry, sight);
    if (problem !== undefined) metadata.add(entry, problem);
  }
  const others = seen();
  count += others.entries;
  bytes += others.bytes;
  return [
    structure.check(
      STRUCTURE_CHECK,
      `all ${count} are there with their types, sizes (${bytes} bytes in all) and links`,
    ),
    metadata.check("metadata", "modes and modification times are those of the backup"),
  ];
}

/** Reads every file back from the disk and hashes it. */
export async function compareContents(
  entries: Iterable<ComparedEntry>,
  root: string,
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): Promise<Check> {
  const different = new Differences();
  const prefix = Buffer.from(`${path.resolve(root).slice(1)}/`.replace(/^\/$/, ""), "utf8");
  let files = 0;
  for await (const { entry, name } of withTurns(entries, signal)) {
    if (entry.type !== "file") continue;
    await turn();
    signal.throwIfAborted();
    const problem = contentProblem(Buffer.concat([prefix, name]), rangesOf(entry));
    if (problem !== undefined) different.add(entry, problem);
    files++;
    onRead(entry.size);
  }
  return different.check("contents", `${files} files were read back and hashed`);
}

function* rangesOf(entry: TreeEntry): Generator<ExpectedRange> {
  if (entry.holes.length > 0) yield { spans: entry.holes, sha256: undefined };
  const layout = new DataLayout(entry.holes);
  for (const { length, sha256 } of entry.chunks) yield { spans: layout.take(length), sha256 };
}

function structureProblem(entry: TreeEntry, { stats, link }: TreeSight): string | undefined {
  if ((stats.mode & TYPE_MASK) !== TYPES[entry.type]) return `is not a ${entry.type}`;
  if (entry.type === "file" && stats.size !== BigInt(entry.size))
    return `has ${stats.size} bytes instead of ${entry.size}`;
  return entry.type === "symlink" && !link?.equals(entry.link ?? Buffer.alloc(0)) ? "points elsewhere" : undefined;
}

/** Node's own call is exact to a quarter of a microsecond where the helper for exact times is missing; the writer warns of it. */
const TIME_TOLERANCE_NS = 1_000n;

function metadataProblem(entry: TreeEntry, { stats }: TreeSight): string | undefined {
  const mode = BigInt(entry.mode) & MODE_BITS;
  const found = stats.mode & MODE_BITS;
  if (entry.type !== "symlink" && found !== mode) return `has mode ${found.toString(8)} instead of ${mode.toString(8)}`;
  const off = stats.mtimeNs - entry.mtimeNs;
  return off > TIME_TOLERANCE_NS || off < -TIME_TOLERANCE_NS ? "has another modification time" : undefined;
}

function linkProblem(
  entry: TreeEntry,
  { stats }: TreeSight,
  groups: HardLinkGroups,
  inodes: Map<string, bigint>,
): string | undefined {
  if (entry.hardLink === undefined) return undefined;
  const first = groups.firstOf(entry);
  if (first === undefined) {
    inodes.set(entry.name.toString("latin1"), stats.ino);
    return undefined;
  }
  return inodes.get(first.toString("latin1")) === stats.ino ? undefined : "is not linked to its peers";
}

class Differences {
  readonly #shown: string[] = [];
  #count = 0;

  add(entry: TreeEntry, problem: string): void {
    if (++this.#count <= SHOWN) this.#shown.push(`${entry.name.toString("utf8")} ${problem}`);
  }

  check(name: string, sound: string): Check {
    if (this.#count === 0) return { name, passed: true, detail: sound };
    const more = this.#count > SHOWN ? ` and ${this.#count - SHOWN} more` : "";
    return { name, passed: false, detail: `${this.#shown.join("; ")}${more}` };
  }
}
