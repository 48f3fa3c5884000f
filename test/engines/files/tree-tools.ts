import * as fs from "node:fs";
import type { DumpFacts, EngineContext, TreeNode } from "../../../src/engines/engine.ts";
import { openEngine } from "../../../src/engines/files/engine.ts";
import { options } from "../../../src/engines/files/options.ts";
import type { EntryMetadata } from "../../../src/platform/tree/entry-metadata.ts";
import { openTreeTarget, type TreeTargetPolicy } from "../../../src/platform/tree/tree-writer.ts";
import { openForReading } from "../../../src/platform/walk.ts";

export function contextFor(folder: string): EngineContext {
  return {
    sourceName: "uploads",
    signal: new AbortController().signal,
    warn: () => undefined,
    activity: () => undefined,
    temporaryDirectory: folder,
  };
}

export interface DumpedTree extends DumpFacts {
  readonly nodes: readonly TreeNode[];
}

export async function dumpTree(given: Record<string, unknown>): Promise<DumpedTree> {
  const engine = openEngine(options.parse(given), {});
  const dump = await engine.dump(contextFor("/nonexistent"));
  if (dump.shape !== "tree") throw new Error("a files engine dumps a tree");
  const nodes: TreeNode[] = [];
  for await (const batch of dump.nodes) nodes.push(...batch);
  return { nodes, ...(await dump.finish()) };
}

/** Names below a folder, as text. */
export function namesBelow(folder: string, nodes: readonly TreeNode[]): string[] {
  const prefix = `${folder.slice(1)}/`;
  return nodes
    .map((node) => node.name.toString("utf8"))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

export function metadataOf(node: TreeNode): EntryMetadata {
  return { ...node, attributes: node.attributes?.() };
}

const BLOCK = 256 * 1024;

/** What a restore does with a tree, without the format in between: `folder` and all in it is written below `to`. */
export async function copyTree(folder: string, to: string, policy: TreeTargetPolicy): Promise<readonly string[]> {
  const { nodes } = await dumpTree({ paths: [folder] });
  const below = nodes.filter((node) => `/${node.name.toString("latin1")}/`.startsWith(`${folder}/`));
  const target = openTreeTarget(to, policy);
  const firsts = new Map<string, Buffer>();
  for (const node of below) {
    const { name } = node;
    const first = node.hardLink === undefined ? undefined : firsts.get(node.hardLink);
    if (node.hardLink !== undefined && first === undefined) firsts.set(node.hardLink, name);
    if (first !== undefined) target.makeHardLink(name, first);
    else if (node.type === "directory") target.makeDirectory(name);
    else if (node.link !== undefined) target.makeSymlink(name, node.link, metadataOf(node));
    else {
      const file = target.beginFile(name, node.size);
      copyContent(node, (offset, bytes) => target.writeAt(file, offset, bytes));
      target.finishFile(file, metadataOf(node));
    }
  }
  for (const node of below.toReversed()) {
    if (node.type === "directory") target.finishDirectory(node.name, metadataOf(node));
  }
  await target.settle();
  target.close();
  return target.warnings();
}

/** Leaves out blocks of zeros, as a restore leaves out holes. */
function copyContent(node: TreeNode, write: (offset: number, bytes: Uint8Array) => void): void {
  const fd = openForReading(node.name);
  const block = Buffer.alloc(BLOCK);
  for (let offset = 0; offset < node.size; offset += BLOCK) {
    const bytes = block.subarray(0, fs.readSync(fd, block, 0, BLOCK, offset));
    if (bytes.some((byte) => byte !== 0)) write(offset, bytes);
  }
  fs.closeSync(fd);
}
