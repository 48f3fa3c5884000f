import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isBackupctlError, messageOf } from "../../../src/errors.ts";
import { WorkerPool } from "../../../src/format/workers/pool.ts";
import { openOperations } from "../../../src/operations/open.ts";
import { forge } from "../../helpers/forge.ts";
import { BLOCK_FORGERIES, FORGERIES, type NamedForgery } from "../../helpers/forgeries.ts";
import { openSession } from "../../helpers/site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const FIXTURE = path.join(import.meta.dirname, "../../fixtures/format-v1/open-zstd");
const DIRECTORY = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";
const ID = "8e24a759-5e07-43b3-8b60-58b06cd0c3aa";

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(async () => pool.close());

/** What verify says of a source that was forged, every sum and mac made right; nothing if it passes. */
async function issuesOf({ source, ...forgery }: NamedForgery): Promise<readonly string[]> {
  const directory = tempDir();
  const repository = path.join(directory, "repository");
  fs.cpSync(FIXTURE, repository, { recursive: true });
  const config = path.join(directory, "backup.config.yaml");
  const storage = `storages: {disk: {type: local, path: ${repository}}}`;
  fs.writeFileSync(config, `${storage}\nstate_dir: ${directory}/state\nencryption: {enabled: false}\n`);
  const operations = await openOperations(await openSession(config));
  await operations.rebuildCatalog();
  await forge(repository, { directory: DIRECTORY, source }, forgery, { pool, directory });
  try {
    const { backups } = await operations.verify({
      reference: ID,
      all: false,
      deep: false,
      quick: false,
      components: [],
    });
    return backups.flatMap(({ issues }) => issues);
  } catch (error) {
    if (!isBackupctlError(error, "BACKUP_CORRUPTED")) throw error;
    return [messageOf(error)];
  } finally {
    await operations.close();
  }
}

type Json = Record<string, unknown>;

/** A forgery of what the metadata say of the source `notes`. */
function ofSource(what: string, change: (source: Json) => Json): NamedForgery {
  const metadata = (content: Json): Json => {
    const sources: readonly Json[] = Array.isArray(content.sources) ? content.sources : [];
    return { ...content, sources: sources.map((source) => (source.name === "notes" ? change(source) : source)) };
  };
  return { what, source: "notes", metadata };
}

/** Only verify looks at them: a restore does without. */
const COUNTS: readonly NamedForgery[] = [
  ofSource("metadata with another count of files", (source) => ({ ...source, counts: { files: 7 } })),
  ofSource("metadata of a source without an index", ({ index: _, ...source }) => source),
];

test.each(["notes", "app"] as const)("verify passes what says nothing wrong of %s", async (source) => {
  expect(await issuesOf({ what: "nothing", source })).toEqual([]);
});

test.each([...FORGERIES, ...BLOCK_FORGERIES, ...COUNTS])("verify finds $what", async (forgery) => {
  expect(await issuesOf(forgery)).not.toEqual([]);
});
