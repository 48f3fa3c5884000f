import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { expect, test } from "vitest";
import { manifestSchema } from "../../scripts/format-fixtures/manifest.ts";
import { BackupctlError } from "../../src/errors.ts";
import { encodePackHeader, sealBlock } from "../../src/format/block.ts";
import { idBytes } from "../../src/format/data-key.ts";
import type { PackSource } from "../../src/format/pack-source.ts";
import { readProvenRoot } from "../../src/format/proven-root.ts";
import { keyProviderDefinitions } from "../../src/keys/registry.ts";
import { openPool } from "../helpers/format-run.ts";
import { runCli } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { openFixture } from "./fixture-reader.ts";

const FIXTURES = path.join(import.meta.dirname, "../fixtures/format-v1");
const manifest = manifestSchema.parse(JSON.parse(fs.readFileSync(path.join(FIXTURES, "expected.json"), "utf8")));

/** A copy of the repository that has a key but no encryption, and the newest backup's directory in it. */
async function openProven() {
  const repository = path.join(tempDir(), "repository");
  fs.cpSync(path.join(FIXTURES, "proven-none"), repository, { recursive: true });
  const directory = manifest.repositories["proven-none"]?.at(-1)?.directory ?? "";
  const key = await keyProviderDefinitions.local?.open({ key: manifest.key }, { name: "main", repositoryId: "any" });
  const keys = key === undefined ? [] : [key];
  const opened = await openFixture(repository, directory, { keys, pool: openPool() });
  return { repository, directory, opened };
}

/** Another root as whoever can write to the storage would make it: everything fits, but nothing was proven by a key. */
async function forgeRoot({ repository, directory, opened }: Awaited<ReturnType<typeof openProven>>): Promise<void> {
  const { metadata, root } = await opened.source("notes", tempDir());
  const artifact = metadata.root;
  if (artifact === undefined) throw new Error("the source has no root");
  const file = path.join(repository, directory, `${artifact.name}.00000000`);
  const pack = fs.readFileSync(file);
  const text = pack.subarray(28 + 12, -16).toString("latin1");
  const forged = Buffer.from(text.replace(root.indexSha256, createHash("sha256").digest("hex")), "latin1");
  const artifactId = Buffer.from(artifact.artifact_id, "hex");
  const header = encodePackHeader({ compression: "none", encrypted: false, packNumber: 0, artifactId });
  const seal = { header, backupId: idBytes(opened.metadata.id), packNumber: 0, key: undefined };
  sealBlock(seal, pack, 28, forged, { storedLength: forged.length + 16, rawLength: forged.length, flags: 3 });
  expect(pack.equals(fs.readFileSync(file))).toBe(false);
  fs.writeFileSync(file, pack);
}

test("a root that is not encrypted is refused when SHA256SUMS does not prove it", async () => {
  const proven = await openProven();
  await forgeRoot(proven);

  await expect(proven.opened.source("notes", tempDir())).rejects.toThrow("does not match SHA256SUMS");
});

test("SHA256SUMS that the metadata do not know prove nothing", async () => {
  const proven = await openProven();
  await forgeRoot(proven);
  const sums = path.join(proven.repository, proven.directory, "SHA256SUMS");
  const name = "notes.tree.root.raw.00000000";
  const sum = createHash("sha256").update(fs.readFileSync(path.join(proven.repository, proven.directory, name)));
  fs.writeFileSync(
    sums,
    fs.readFileSync(sums, "utf8").replace(/^.{64}(?= {2}notes\.tree\.root\.)/m, sum.digest("hex")),
  );

  await expect(proven.opened.source("notes", tempDir())).rejects.toThrow(
    "does not match the checksum in metadata.json",
  );
});

test("a root that is not encrypted is refused where SHA256SUMS is missing", async () => {
  const { repository, directory, opened } = await openProven();
  fs.rmSync(path.join(repository, directory, "SHA256SUMS"));

  await expect(opened.source("notes", tempDir())).rejects.toThrow("SHA256SUMS is missing");
});

type Proven = Awaited<ReturnType<typeof openProven>>;

/** A copy of the backup, and the one that is asked next. */
function copyIn({ repository, directory }: Proven, next?: PackSource): PackSource {
  return {
    get: async (_, name, offset, length) => {
      const file = path.join(repository, directory, name);
      return fs.existsSync(file) ? fs.readFileSync(file).subarray(offset, offset + length) : undefined;
    },
    dataKey: async () => undefined,
    otherwise: () => next,
  };
}

function readNotesRoot({ opened: { metadata } }: Proven, packs: PackSource) {
  const source = metadata.sources.find(({ name }) => name === "notes");
  if (source?.root === undefined) throw new Error("the source has no root");
  return readProvenRoot(metadata, { ...source, root: source.root }, packs, openPool());
}

test("a root that was forged or lost in one copy is read from another one, which the same sums prove", async () => {
  const [forged, lost, sound] = [await openProven(), await openProven(), await openProven()];
  await forgeRoot(forged);
  fs.rmSync(path.join(lost.repository, lost.directory, "notes.tree.root.raw.00000000"));
  const wanted = await readNotesRoot(sound, copyIn(sound));

  expect(await readNotesRoot(sound, copyIn(forged, copyIn(lost, copyIn(sound))))).toEqual(wanted);
  const nowhere = await readNotesRoot(sound, copyIn(lost, copyIn(forged))).catch((error: unknown) => error);
  expect(nowhere).toMatchObject({
    message: expect.stringContaining("is missing"),
    elsewhere: [{ message: expect.stringContaining("does not match SHA256SUMS") }],
  });
});

/** A copy of which nothing can be read. */
function failing(error: Error, next?: PackSource): PackSource {
  return { get: () => Promise.reject(error), dataKey: async () => undefined, otherwise: () => next };
}

test.each([
  ["a run that was broken off", new BackupctlError("INTERRUPTED", "stopped"), "stopped"],
  ["a copy that is away", new BackupctlError("STORAGE_FAILED", "it is away"), "is missing"],
])("where a copy lacks a root, and the next one is %s, it says so", async (_, error, said) => {
  const lost = await openProven();
  fs.rmSync(path.join(lost.repository, lost.directory, "notes.tree.root.raw.00000000"));

  await expect(readNotesRoot(lost, copyIn(lost, failing(error)))).rejects.toThrow(said);
});

test.each([
  ["was never there", new BackupctlError("BACKUP_NOT_FOUND", "not yet"), "first"],
  ["is away, too", new BackupctlError("STORAGE_FAILED", "second"), "second"],
])("where a copy is away and the next one %s, it says which", async (_, error, said) => {
  const away = new BackupctlError("STORAGE_FAILED", "first");

  await expect(readNotesRoot(await openProven(), failing(away, failing(error)))).rejects.toThrow(said);
});

test("recover.mjs restores nothing from a root that nothing proves", async () => {
  const proven = await openProven();
  await forgeRoot(proven);
  const keyFile = path.join(tempDir(), "key");
  fs.writeFileSync(keyFile, manifest.key);
  const to = path.join(tempDir(), "restored");
  const program = path.join(import.meta.dirname, "../../recovery/recover.mjs");
  const args = [program, "restore", proven.repository, "latest", "notes", "--key-file", keyFile, "--to", to];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });

  expect(status).toBe(4);
  expect(stderr).toContain("does not match SHA256SUMS");
  expect(fs.existsSync(to)).toBe(false);
});

test("the program restores nothing from a root that nothing proves", async () => {
  const proven = await openProven();
  await forgeRoot(proven);
  const home = tempDir();
  const config = path.join(home, "backup.config.yaml");
  fs.writeFileSync(
    config,
    `storages: {disk: {type: local, path: ${proven.repository}}}
state_dir: ${home}/state
encryption: {enabled: false, keys: {main: {provider: local, key: ${manifest.key}}}}
`,
  );
  const to = path.join(home, "restored");
  const args = ["restore", "latest", "--source", "notes", "--to", to, "--yes", "--config", config];
  const { exitCode, stderr } = await runCli(args, { home });

  expect(exitCode).toBe(4);
  expect(stderr).toContain("does not match SHA256SUMS");
  expect(fs.existsSync(to)).toBe(false);
});
