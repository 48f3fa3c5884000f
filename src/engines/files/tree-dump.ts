import type { BigIntStats } from "node:fs";
import * as fs from "node:fs";
import { BackupctlError } from "../../errors.ts";
import { nowNs } from "../../platform/clock.ts";
import { attributesAvailable, findAttributes } from "../../platform/extended-attributes.ts";
import { errnoOf } from "../../platform/files.ts";
import { localGroups, localUsers, type Owners } from "../../platform/names-of-owners.ts";
import { type BytePath, openForReading, showPath, type WalkEntry } from "../../platform/walk.ts";
import type {
  DumpContext,
  DumpFacts,
  ExtendedAttributes,
  FoundAttributes,
  NodeType,
  TreeDump,
  TreeNode,
} from "../engine.ts";
import type { FilesOptions } from "./options.ts";
import { goneOf, type Roots } from "./roots.ts";
import { select } from "./selection.ts";

const BATCH_NODES = 250;
const SPECIALS_NAMED = 20;
const LEAVINGS_NAMED = 5;
/** A stat time that is a little too early is only more careful: see `TreeNode.statAtNs`. */
const ENTRIES_PER_TIME = 64;

/** What a dump learns on its way, for `finish`. */
interface Findings {
  readonly counts: { files: number; directories: number; symlinks: number; special: number };
  readonly unreadable: string[];
  readonly warnings: string[];
  /** Of interrupted restores. */
  leavings: number;
}

/** @param roots at least one of them found */
export function startTreeDump(options: FilesOptions, roots: Roots, context: DumpContext): TreeDump {
  const findings: Findings = {
    counts: { files: 0, directories: 0, symlinks: 0, special: 0 },
    unreadable: [...roots.missing],
    warnings: [...roots.warnings],
    leavings: 0,
  };
  const attributes = attributeReader(options, findings);
  return {
    shape: "tree",
    kind: "tree",
    nodes: batches(options, roots, context, { findings, attributes }),
    async finish(): Promise<DumpFacts> {
      requireSomething(roots, findings, context);
      const { counts, unreadable, warnings } = findings;
      if (counts.special > SPECIALS_NAMED) {
        warnings.push(`${counts.special - SPECIALS_NAMED} more sockets, pipes and devices are not stored`);
      }
      if (findings.leavings > LEAVINGS_NAMED) {
        warnings.push(`${findings.leavings - LEAVINGS_NAMED} more are left from interrupted restores: not stored`);
      }
      return { counts: { ...counts }, versions: {}, unreadable: [...unreadable, ...goneOf(roots)], warnings };
    },
  };
}

type AttributeReader = (name: Buffer, found?: FoundAttributes) => ExtendedAttributes | undefined;

interface Tools {
  readonly findings: Findings;
  readonly attributes: AttributeReader | undefined;
}

async function* batches(
  options: FilesOptions,
  roots: Roots,
  context: DumpContext,
  tools: Tools,
): AsyncGenerator<readonly TreeNode[]> {
  const owners = { users: localUsers(), groups: localGroups() };
  let batch: TreeNode[] = [];
  let statAtNs = nowNs();
  let sinceTime = 0;
  for (const entry of select(roots.found, options, eventsInto(tools.findings))) {
    if (entry !== undefined) {
      batch.push(nodeOf(entry, statAtNs, { ...tools, ...owners }));
      if (++sinceTime >= ENTRIES_PER_TIME) {
        sinceTime = 0;
        statAtNs = nowNs();
      }
      if (batch.length < BATCH_NODES) continue;
      context.activity(showPath(entry.path));
      yield batch;
      batch = [];
    }
    // The walk itself never waits: signals, timers and the storage's sockets get their turn here.
    await new Promise(setImmediate);
    context.signal.throwIfAborted();
    statAtNs = nowNs();
  }
  if (batch.length > 0) yield batch;
}

function nodeOf(
  { name, stats, link }: WalkEntry,
  statAtNs: bigint,
  tools: Tools & { readonly users: Owners; readonly groups: Owners },
): TreeNode {
  const type = typeOf(stats);
  const { attributes } = tools;
  const uid = Number(stats.uid);
  const gid = Number(stats.gid);
  const user = tools.users.nameOf(uid);
  const group = tools.groups.nameOf(gid);
  count(tools.findings, type);
  return {
    name,
    type,
    size: type === "file" ? Number(stats.size) : 0,
    mode: Number(stats.mode) & 0o7777,
    uid,
    gid,
    ...(user === undefined ? {} : { user }),
    ...(group === undefined ? {} : { group }),
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    inode: stats.ino,
    ...(link === undefined ? {} : { link }),
    ...(type !== "directory" && stats.nlink > 1n ? { hardLink: `${stats.dev}:${stats.ino}` } : {}),
    blocks: Number(stats.blocks),
    statAtNs,
    // Linux has no attributes of a user's own on symlinks, and can't open one to read the others.
    ...(attributes === undefined || type === "symlink"
      ? {}
      : { attributes: (found?: FoundAttributes) => attributes(name, found) }),
  };
}

function typeOf(stats: BigIntStats): NodeType {
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? "symlink" : "file";
}

function count({ counts }: Findings, type: NodeType): void {
  if (type === "directory") counts.directories++;
  else if (type === "symlink") counts.symlinks++;
  else counts.files++;
}

function eventsInto(findings: Findings) {
  return {
    unreadable: (path: BytePath, error: unknown) => {
      findings.unreadable.push(`${showPath(path)}: ${errnoOf(error) ?? "unknown error"}`);
    },
    leaving: (path: BytePath) => {
      if (++findings.leavings > LEAVINGS_NAMED) return;
      findings.warnings.push(
        `${showPath(path)} is left from an interrupted restore: not stored. What it restored may be neither old nor new: restore it again`,
      );
    },
    special: (path: BytePath, stats: BigIntStats) => {
      if (++findings.counts.special <= SPECIALS_NAMED) {
        findings.warnings.push(`${showPath(path)} is a ${specialName(stats)}: not stored`);
      }
    },
  };
}

function specialName(stats: BigIntStats): string {
  if (stats.isSocket()) return "socket";
  return stats.isFIFO() ? "pipe" : "device";
}

/**
 * Extended attributes are asked for by whoever finds a node changed. What can't be read is an unreadable entry where the
 * config says `required`, else a warning.
 */
function attributeReader(options: FilesOptions, findings: Findings): AttributeReader | undefined {
  if (options.xattrs === "off") return undefined;
  const problems = options.xattrs === "required" ? findings.unreadable : findings.warnings;
  if (!attributesAvailable()) {
    problems.push("extended attributes and ACLs can't be read on this system: not stored");
    return undefined;
  }
  return (name, found = attributesAt(name)) => {
    if ("attributes" in found) return found.attributes;
    // Gone meanwhile: the pipeline, which reads the content next, says so. Unreadable: it says that too.
    if (found.errno !== "ENOENT" && found.errno !== "EACCES" && found.errno !== "ELOOP") {
      problems.push(`/${name.toString("utf8")}: its extended attributes can't be read (${found.errno})`);
    }
    return undefined;
  };
}

function attributesAt(name: Buffer): FoundAttributes {
  let fd: number | undefined;
  try {
    fd = openForReading(name);
    return findAttributes(fd);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return { errno };
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/** A root that exists but gave nothing at all (a socket, say) must not pass for a backup. */
function requireSomething(roots: Roots, findings: Findings, context: DumpContext): void {
  const { files, directories, symlinks } = findings.counts;
  const parents = new Set(roots.found.flatMap(({ path }) => parentsOf(path))).size;
  if (files + symlinks + directories > parents || roots.found.some(({ path }) => path === "")) return;
  const reasons = [...findings.unreadable, ...findings.warnings].slice(0, 3).join(", ");
  throw new BackupctlError("SOURCE_FAILED", `source "${context.sourceName}" yields nothing: ${reasons}`, {
    hint: "Correct its paths and excludes in the config, then run: backupctl config validate",
  });
}

function parentsOf(path: BytePath): BytePath[] {
  const parents: BytePath[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) parents.push(path.slice(0, end));
  return parents;
}
