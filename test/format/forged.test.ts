import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readStreamIndex, readTreeIndex } from "../../src/format/index-reader.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { forge } from "../helpers/forge.ts";
import { BLOCK_FORGERIES, FORGED_AS_IT_WAS, FORGERIES, type NamedForgery } from "../helpers/forgeries.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { openFixture } from "./fixture-reader.ts";

const FIXTURE = path.join(import.meta.dirname, "../fixtures/format-v1/open-zstd");
const DIRECTORY = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(async () => pool.close());

/** Reads all of a source that was forged; gives its number of entries. */
async function readForged({ source, ...forgery }: NamedForgery): Promise<number> {
  const directory = tempDir();
  const repository = path.join(directory, "repository");
  fs.cpSync(FIXTURE, repository, { recursive: true });
  await forge(repository, { directory: DIRECTORY, source }, forgery, { pool, directory });
  const backup = await openFixture(repository, DIRECTORY, { keys: [], pool });
  const { indexFile, metadata, bytes } = await backup.source(source, tempDir());
  const index = metadata.kind === "tree" ? undefined : readStreamIndex(indexFile, metadata.kind);
  const entries = index?.entries ?? [...readTreeIndex(indexFile)];
  await bytes(index?.chunks ?? []);
  return entries.length;
}

/** What is said of whom: the first that fits. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^metadata (of another place|whose)/, "storage_path: is the directory of another backup"],
  [/^metadata of another repository/, "says repository"],
  [/^metadata with a parent/, "parent_id: is not the last ancestor"],
  [/^metadata with a lineage that lacks the parent/, "lineage: does not fit a differential backup"],
  [/^metadata with a lineage that ends elsewhere/, "lineage: does not end with this backup"],
  [/^metadata with a lineage that lacks a checksum/, "lineage: lacks the checksum of an ancestor"],
  [/^metadata with a lineage that has an empty place/, "lineage.0: "],
  [/^metadata with a source that is none/, "sources.2: "],
  [/^metadata with an artifact that is none/, "sources.0.root: "],
  [/^metadata with a kind/, "sources.1.kind: not a name"],
  [/^metadata that are encrypted/, "encrypted: is encrypted but names no key"],
  [/^a root of another/, "the root is another source's"],
  [/^a root of a newer version/, "the root is not of version 1"],
  [/^a root with an object of a backup outside/, "which is not of its lineage"],
  [/^a root .*lineage$/, "tells of another lineage than metadata.json"],
  [/^a root with an artifact of its own/, "names notes.tree.index.zst, which metadata.json does not"],
  [/^a root with objects that are misnumbered/, "the root's objects are out of order"],
  [/^a root with an object that lies elsewhere/, "an artifact's name was expected"],
  [/^a root with a wrong count/, "the root does not list as many chunks as it says"],
  [/^a root with another size$/, "its root says 248 bytes, metadata.json 247"],
  [/^a root with another (index|size of the index)/, "is not the index that its root describes"],
  [/^a root without a last line/, "the root is cut: its last line is missing"],
  [/chunk's object that is not there/, "names object 99, which the root does not list"],
  [/chunk's object that is none/, "a count up to 9007199254740991 was expected"],
  [/chunk's (length|offset in block) over 16 MiB/, "a count up to 16777216 was expected"],
  [/chunk's pack over 99,999,999/, "a count up to 99999999 was expected"],
  [/chunk's block offset/, "a count up to 33554432 was expected"],
  [/chunk's stored length/, "a count up to 16778240 was expected"],
  [/chunk's hash in capitals/, "64 hex digits were expected"],
  [/chunk of six members/, "a chunk has not seven members"],
  [/^a tree with a name that is not there/, "a text was expected"],
  [/^a tree with a name that came twice|out of order/, "the index is out of order"],
  [/^a tree with a name/, "an entry's name leads elsewhere"],
  [/^a stream with (a name|no name)/, "of its index is no file's name"],
  [/size that its chunks do not make up|hole behind its end/, "chunks and holes do not make up its size"],
  [/^a tree with an unknown type/, "unknown type of entry socket"],
  [/^a tree with a symlink that leads nowhere/, "a symlink does not say what it points to"],
  [/^a tree with (an owner|a mode)/, "a count up to 9007199254740991 was expected"],
  [/^a tree with a time/, "a time is not a number of nanoseconds"],
  [/^a tree with an entry below/, "an entry lies below one that is no directory"],
  [/without a last line/, "the index is cut: its last line is missing"],
  [/lines behind the last/, "lines follow the index's last line"],
  [/wrong count|an entry behind its end|a chunk that is missing/, "the index does not hold what its last line says"],
  [/a block that is not there/, "the block at 29 is not whole"],
  [/a block of another length/, "the block at 28 is not whole"],
  [/an object that the root does not list/, "names object 92, which the root does not list"],
];

test.each(FORGED_AS_IT_WAS)("reads what says nothing wrong: $what", async (forgery) => {
  expect(await readForged(forgery)).toBeGreaterThan(0);
});

test.each([...FORGERIES, ...BLOCK_FORGERIES])("refuses $what, and says so", async (forgery) => {
  const [, reason = "no reason"] = REASONS.find(([what]) => what.test(forgery.what)) ?? [];

  await expect(readForged(forgery)).rejects.toThrow(reason);
});
