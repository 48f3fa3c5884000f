import { createHash } from "node:crypto";
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
const FULL = "full/monthly/2026-01-11/full-02-00-00-6ab51e2a";
const ID = "8e24a759-5e07-43b3-8b60-58b06cd0c3aa";

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(async () => pool.close());

/** What verify says of a source that was forged, every sum and mac made right; nothing if it passes. */
async function issuesOf(
  { source, ...forgery }: NamedForgery,
  place = DIRECTORY,
  alsoDo: (repository: string) => void = () => undefined,
): Promise<readonly string[]> {
  const directory = tempDir();
  const repository = path.join(directory, "repository");
  fs.cpSync(FIXTURE, repository, { recursive: true });
  const config = path.join(directory, "backup.config.yaml");
  const storage = `storages: {disk: {type: local, path: ${repository}}}`;
  fs.writeFileSync(config, `${storage}\nstate_dir: ${directory}/state\nencryption: {enabled: false}\n`);
  const operations = await openOperations(await openSession(config));
  await operations.rebuildCatalog();
  await forge(repository, { directory: place, source }, forgery, { pool, directory });
  alsoDo(repository);
  // As a host sees it that did not know it before.
  await operations.rebuildCatalog();
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

/** What is said of the backup in the words of the stream `app`: nothing at all. */
const EMPTY_STREAM: NamedForgery = {
  what: "a stream that is said to be empty",
  source: "app",
  index: () => ['{"end":true,"entries":0,"chunks":0,"bytes":0}'],
};

test.each(["notes", "app"] as const)("verify passes what says nothing wrong of %s", async (source) => {
  expect(await issuesOf({ what: "nothing", source })).toEqual([]);
});

test("verify finds an ancestor that was forged, though nothing is wrong with it by itself", async () => {
  const issues = await issuesOf({ what: "nothing", source: "notes" }, FULL);

  expect(issues.join("\n")).toContain("holds something else than this backup was built on");
});

test("verify finds sums that are none, though the metadata prove them", async () => {
  const sums = "these are no sums\n";
  const checksum = `sha256:${createHash("sha256").update(sums).digest("hex")}`;
  const metadata = (content: Json): Json => ({ ...content, checksum });

  const issues = await issuesOf({ what: "sums", source: "notes", metadata }, DIRECTORY, (repository) =>
    fs.writeFileSync(path.join(repository, DIRECTORY, "SHA256SUMS"), sums),
  );

  expect(issues.join("\n")).toContain("SHA256SUMS");
});

test.each([...FORGERIES, ...BLOCK_FORGERIES, ...COUNTS, EMPTY_STREAM])("verify finds $what", async (forgery) => {
  expect(await issuesOf(forgery)).not.toEqual([]);
});
