import { DamageError } from "../../format/block.ts";
import { ChunkReader, type Wanted } from "../../format/chunk-reader.ts";
import { readStreamIndex, type TreeEntry } from "../../format/index-reader.ts";
import { StoredDamage } from "../../format/pack-source.ts";
import { withTurns } from "../../platform/turns.ts";
import type { BackupContents, OpenedSource } from "../repository/backup-contents.ts";
import { HardLinkGroups } from "./facts.ts";
import type { SelectedEntry } from "./selection.ts";

/** What is wrong with the stored bytes that a restore needs. */
export interface FoundDamage {
  /** Names of a tree's entries that can't be had whole. */
  readonly entries: ReadonlySet<string>;
  /** Theirs, as a plan counts them. */
  readonly bytes: number;
  readonly cause: unknown;
}

interface SourceToCheck {
  readonly contents: BackupContents;
  readonly opened: OpenedSource;
  /** What is wanted of a tree. */
  readonly chosen: Iterable<SelectedEntry>;
  readonly onChecked: (bytes: number, files: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Opens every block and hashes every chunk that the restore of a source needs, and writes nothing.
 * @returns `undefined`: all is sound. Anything that is not damage (a storage that is away, a missing key) is thrown.
 */
export async function checkSource(check: SourceToCheck): Promise<FoundDamage | undefined> {
  const { contents, opened, chosen, onChecked, signal } = check;
  try {
    const wanted = opened.shape === "tree" ? treeChunks(chosen, signal) : streamChunks(opened);
    for await (const { bytes, what } of readerOf(contents, opened).read(wanted)) onChecked(bytes.length, what.files);
    return undefined;
  } catch (error) {
    if (!isDamage(error)) throw error;
    const found = opened.shape === "tree" ? await damagedEntries(check) : { entries: new Set<string>(), bytes: 0 };
    return { ...found, cause: error };
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

async function* treeChunks(chosen: Iterable<SelectedEntry>, signal: AbortSignal): AsyncGenerator<Wanted<Counted>> {
  const groups = new HardLinkGroups();
  for await (const { entry } of withTurns(chosen, signal)) {
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
async function damagedEntries({
  contents,
  opened,
  chosen,
  signal,
}: SourceToCheck): Promise<Pick<FoundDamage, "entries" | "bytes">> {
  const entries = new Set<string>();
  const groups = new HardLinkGroups();
  let bytes = 0;
  const reader = readerOf(contents, opened);
  for await (const { entry } of withTurns(chosen, signal)) {
    try {
      for await (const _ of reader.read(chunksOf(entry)));
    } catch (error) {
      if (!isDamage(error)) throw error;
      entries.add(entry.name.toString("latin1"));
      if (groups.firstOf(entry) === undefined) bytes += entry.size;
    }
  }
  return { entries, bytes };
}
