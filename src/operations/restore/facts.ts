import { createHash } from "node:crypto";
import { packName } from "../../domain/object-names.ts";
import { BLOCK_HEADER_BYTES, DamageError } from "../../format/block.ts";
import { readStreamIndex, type StreamIndex, type TreeEntry } from "../../format/index-reader.ts";
import type { ChunkRef } from "../../format/root.ts";
import { withTurns } from "../../platform/turns.ts";
import { contains } from "../../platform/walk.ts";
import type { OpenedSource } from "../repository/backup-contents.ts";
import type { SelectedEntry } from "./selection.ts";

/** What a restore of one source means, counted from its index before anything is fetched. */
export interface SourceFacts {
  readonly bytes: number;
  readonly entries: number;
  readonly bytesToFetch: number;
  /** That have to be read. */
  readonly packs: readonly PackPlace[];
}

interface PackPlace {
  /** Number in the root's table of objects. */
  readonly object: number;
  readonly pack: number;
}

export interface TreeFacts extends SourceFacts {
  /** The deepest folder that holds all entries but its own parents: where the source lay, as far as the index can tell. */
  readonly commonFolder: Buffer;
  /** Of the names asked for those that the index has. */
  readonly present: readonly Buffer[];
}

/** @param names e.g. the source's configured paths, relative to `/` */
export async function treeFacts(
  chosen: Iterable<SelectedEntry>,
  names: readonly Buffer[],
  signal: AbortSignal,
): Promise<TreeFacts> {
  const fetched = new BlockCount();
  const groups = new HardLinkGroups();
  const common = new CommonFolder();
  const present = new Set<Buffer>();
  let bytes = 0;
  let entries = 0;
  for await (const { entry } of withTurns(chosen, signal)) {
    entries++;
    common.add(entry);
    for (const name of names) if (name.length === 0 || name.equals(entry.name)) present.add(name);
    if (groups.firstOf(entry) !== undefined) continue;
    bytes += entry.size;
    fetched.add(entry.chunks);
  }
  return { bytes, entries, ...fetched.totals(), commonFolder: common.name, present: [...present] };
}

export function streamFacts(opened: OpenedSource): SourceFacts & { readonly index: StreamIndex } {
  const index = readStreamIndex(opened.indexFile, opened.source.kind);
  if (index.size !== opened.root.size) throw new DamageError("the index is of another size than its root says");
  const fetched = new BlockCount();
  fetched.add(index.chunks);
  return { index, bytes: index.size, entries: index.entries.length, ...fetched.totals() };
}

/**
 * Members of a hard link group but the first carry the same chunks again; they are linked, not written. A name that was read with other
 * content, because the file changed meanwhile or its inode number went to another one, begins a group of its own.
 */
export class HardLinkGroups {
  readonly #first = new Map<string, Buffer>();

  /** The group's first member; `undefined` if this is it, or if it is in no group. */
  firstOf(entry: TreeEntry): Buffer | undefined {
    if (entry.hardLink === undefined || entry.type === "directory") return undefined;
    const group = `${entry.type} ${entry.hardLink} ${contentOf(entry)}`;
    const first = this.#first.get(group);
    if (first === undefined) this.#first.set(group, entry.name);
    return first;
  }
}

function contentOf({ size, link, holes, chunks }: TreeEntry): string {
  const hash = createHash("sha256").update(JSON.stringify([size, link?.toString("latin1"), holes]));
  for (const { sha256 } of chunks) hash.update(sha256);
  return hash.digest("hex");
}

/** The keys of the packs of one source, in its own backup's directory and in those of its ancestors. */
export function packKeys({ root }: OpenedSource, packs: readonly PackPlace[]): readonly string[] {
  const directories = new Map(root.lineage.map(({ id, path }) => [id, path]));
  return packs.map(({ object, pack }) => {
    const entry = root.objects[object];
    const directory = entry === undefined ? undefined : directories.get(entry.origin);
    if (entry === undefined || directory === undefined)
      throw new DamageError(`the index names object ${object}, which the root does not list`);
    return `${directory}/${packName(entry.name, pack)}`;
  });
}

/** Distinct blocks, however many chunks are wanted of each. */
class BlockCount {
  readonly #packs = new Map<string, PackPlace & { readonly blocks: Set<number> }>();
  #bytes = 0;

  add(chunks: readonly ChunkRef[]): void {
    for (const { object, pack, blockOffset, blockStored } of chunks) {
      const key = `${object}/${pack}`;
      const known = this.#packs.get(key) ?? { object, pack, blocks: new Set() };
      const { blocks } = known;
      if (blocks.size === 0) this.#packs.set(key, known);
      if (blocks.has(blockOffset)) continue;
      blocks.add(blockOffset);
      this.#bytes += blockStored + BLOCK_HEADER_BYTES;
    }
  }

  totals(): Pick<SourceFacts, "bytesToFetch" | "packs"> {
    return {
      bytesToFetch: this.#bytes,
      packs: [...this.#packs.values()].map(({ object, pack }) => ({ object, pack })),
    };
  }
}

/** Follows entries in index order: goes deeper as long as each is the only thing in the one before, up when one lies beside. */
class CommonFolder {
  #chain: Buffer[] = [];
  #closed = false;

  get name(): Buffer {
    return this.#chain.at(-1) ?? Buffer.alloc(0);
  }

  add({ name, type }: TreeEntry): void {
    while (this.#chain.length > 0 && !contains(this.name, name)) {
      this.#chain.pop();
      this.#closed = true;
    }
    if (this.#closed) return;
    if (type === "directory") this.#chain.push(name);
    else this.#closed = true;
  }
}
