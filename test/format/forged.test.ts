import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DamageError } from "../../src/format/block.ts";
import { StoredDamage } from "../../src/format/block-reader.ts";
import { readStreamIndex, readTreeIndex } from "../../src/format/index-reader.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { forge } from "../helpers/forge.ts";
import { FORGED_AS_IT_WAS, FORGERIES, type NamedForgery } from "../helpers/forgeries.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { openFixture } from "./fixture-reader.ts";

const FIXTURE = path.join(import.meta.dirname, "../fixtures/format-v1/open-zstd");
const DIRECTORY = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(async () => pool.close());

/** Reads the index of a source that was forged; gives its number of entries. */
async function readForged({ source, ...forgery }: NamedForgery): Promise<number> {
  const directory = tempDir();
  const repository = path.join(directory, "repository");
  fs.cpSync(FIXTURE, repository, { recursive: true });
  await forge(repository, { directory: DIRECTORY, source }, forgery, { pool, directory });
  const backup = await openFixture(repository, DIRECTORY, { keys: [], pool });
  const { indexFile, metadata } = await backup.source(source, tempDir());
  return metadata.kind === "tree" ? [...readTreeIndex(indexFile)].length : readStreamIndex(indexFile).entries.length;
}

test.each(FORGED_AS_IT_WAS)("reads what says nothing wrong: $what", async (forgery) => {
  expect(await readForged(forgery)).toBeGreaterThan(0);
});

/** Places of backups and names of entries are checked by who uses them. */
const readHere = FORGERIES.filter(({ root, source }) => root !== undefined || source === "app");

test.each(readHere)("refuses $what", async (forgery) => {
  const refused = await readForged(forgery).catch((error: unknown) => error);

  expect(refused instanceof DamageError || refused instanceof StoredDamage ? "refused" : refused).toBe("refused");
});
