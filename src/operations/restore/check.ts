import { messageOf } from "../../errors.ts";
import { DamageError } from "../../format/block.ts";
import { ChunkReader, type Wanted } from "../../format/chunk-reader.ts";
import { readStreamIndex, type TreeEntry } from "../../format/index-reader.ts";
import { StoredDamage } from "../../format/pack-source.ts";
import type { BackupContents, OpenedSource } from "../repository/backup-contents.ts";
import { HardLinkGroups } from "./facts.ts";
import type { SelectedEntry } from "./selection.ts";

/** What is wrong with the stored bytes that a restore needs. */
export interface FoundDamage {
  /** Names of a tree's entries that can't be had whole. */
  readonly entries: ReadonlyMap<string, string>;
  readonly message: string;
  readonly cause: unknown;
}

type OnChecked = (bytes: number, files: number) => void;

/**
 * Opens every block and hashes every chunk that the restore of a source needs, and writes nothing.
 * @param chosen what is wanted of a tree
 * @returns `undefined`: all is sound. Anything that is not damage (a storage that is away, a missing key) is thrown.
 */
export async function checkSource(
  contents: BackupContents,
  opened: OpenedSource,
  chosen: Iterable<SelectedEntry>,
  onChecked: OnChecked,
): Promise<FoundDamage | undefined> {
  try {
    const wanted = opened.shape === "tree" ? treeChunks(chosen) : streamChunks(opened);
    for await (const { bytes, what } of readerOf(contents, opened).read(wanted)) onChecked(bytes.length, what.files);
    return undefined;
  } catch (error) {
    if (!isDamage(error)) throw error;
    const entries =
      opened.shape === "tree" ? await damagedEntries(contents, opened, chosen) : new Map<string, string>();
    return { entries, message: messageOf(error), cause: error };
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof StoredDamage || error instanceof DamageError;
}

export function readerOf(contents: BackupContents, opened: OpenedSource): ChunkReader {
  return new ChunkReader(contents.packs, contents.pool, opened.root.objects);
}

interface Counted {
  readonly files: number;
}

const INSIDE: Counted = { files: 0 };
const LAST: Counted = { files: 1 };

function* treeChunks(chosen: Iterable<SelectedEntry>): Generator<Wanted<Counted>> {
  const groups = new HardLinkGroups();
  for (const { entry } of chosen) {
    if (groups.firstOf(entry) === undefined) yield* chunksOf(entry);
  }
}

function* chunksOf({ chunks }: TreeEntry): Generator<Wanted<Counted>> {
  for (const [i, chunk] of chunks.entries()) yield { chunk, what: i === chunks.length - 1 ? LAST : INSIDE };
}

function* streamChunks(opened: OpenedSource): Generator<Wanted<Counted>> {
  for (const chunk of readStreamIndex(opened.indexFile, opened.source.kind).chunks) yield { chunk, what: INSIDE };
}

/** Slower, one entry at a time, so that each damage is found and not only the first. */
async function damagedEntries(
  contents: BackupContents,
  opened: OpenedSource,
  chosen: Iterable<SelectedEntry>,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const reader = readerOf(contents, opened);
  for (const { entry } of chosen) {
    try {
      for await (const _ of reader.read(chunksOf(entry)));
    } catch (error) {
      if (!isDamage(error)) throw error;
      found.set(entry.name.toString("latin1"), messageOf(error));
    }
  }
  return found;
}
