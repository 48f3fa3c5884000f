import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ExpectedBackup,
  type ExpectedSource,
  listTree,
  manifestSchema,
  sha256Of,
  type TreeEntry,
  WITHOUT_KEY,
} from "../../scripts/format-fixtures/manifest.ts";
import { type TreeEntry as IndexEntry, readStreamIndex, readTreeIndex } from "../../src/format/index-reader.ts";
import type { WrappingKey } from "../../src/format/keys-object.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { keyProviderDefinitions } from "../../src/keys/registry.ts";
import { runCli } from "../helpers/run-cli.ts";
import { suiteTempDir, tempDir } from "../helpers/temp-dir.ts";
import { type FixtureSource, openFixture } from "./fixture-reader.ts";

/**
 * Repositories as scripts/make-format-fixtures.ts wrote them once. Every release has to read them: a test that fails here
 * means that backups which people have can't be read any longer. Never make them anew for that.
 */

const FIXTURES = path.join(import.meta.dirname, "../fixtures/format-v1");
const RECOVER = path.join(import.meta.dirname, "../../recovery/recover.mjs");
const manifest = manifestSchema.parse(JSON.parse(fs.readFileSync(path.join(FIXTURES, "expected.json"), "utf8")));
const repositories = Object.entries(manifest.repositories).map(([name, backups]) => ({ name, backups }));
const all = repositories.flatMap(({ name, backups }) =>
  backups.map((backup) => ({ repository: name, mode: backup.mode, directory: backup.directory, backup })),
);

let pool: WorkerPool;
let keys: readonly WrappingKey[];
beforeAll(async () => {
  pool = new WorkerPool(2);
  const main = await keyProviderDefinitions.local?.open({ key: manifest.key }, { name: "main", repositoryId: "any" });
  keys = main === undefined ? [] : [main];
});
afterAll(async () => pool.close());

function folderOf(repository: string): string {
  return path.join(FIXTURES, repository);
}

describe.each(all)("$repository, $directory", ({ repository, backup }) => {
  const temporary = suiteTempDir();

  test("src/format reads what was backed up", async () => {
    const opened = await openFixture(folderOf(repository), backup.directory, { keys, pool });
    const read = new Map<string, ExpectedSource>();
    for (const name of Object.keys(backup.sources)) {
      const source = await opened.source(name, temporary);
      read.set(name, source.metadata.kind === "tree" ? await readTree(source) : await readStream(source));
    }

    expect({ mode: opened.metadata.mode, status: opened.metadata.status }).toEqual({
      mode: backup.mode,
      status: backup.status,
    });
    expect(Object.fromEntries(read)).toEqual(withoutTables(backup));
  });

  test("recover.mjs restores what was backed up", () => {
    for (const [name, { tree, stream }] of Object.entries(backup.sources)) {
      const to = path.join(temporary, `${backup.directory.replaceAll("/", "-")}-${name}`);
      recover(repository, backup, name, to);
      if (tree !== undefined) expect(onDisk(listTree(to, tree[0]?.name ?? ""))).toEqual(onDisk(tree));
      else if (fs.statSync(to).isFile()) expect(sha256Of(fs.readFileSync(to))).toBe(stream?.sha256);
      else expect(hashesBelow(to)).toEqual(hashesOfFiles(stream?.parts ?? {}));
    }
  });
});

/** SHA-256 of what a stream consists of as ordinary files: of a database's tables none is one. */
function hashesOfFiles(parts: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(parts)
    .filter(([name]) => !name.includes("/"))
    .map(([, sha256]) => sha256)
    .sort();
}

function hashesBelow(folder: string): readonly string[] {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return files.map((file) => sha256Of(fs.readFileSync(file))).sort();
}

function withoutTables({ sources }: ExpectedBackup): Readonly<Record<string, ExpectedSource>> {
  return Object.fromEntries(Object.entries(sources).map(([name, { tables: _, ...source }]) => [name, source]));
}

/** As the manifest describes a tree: the entries that lie below the source's path. */
async function readTree(source: FixtureSource): Promise<ExpectedSource> {
  const tree: TreeEntry[] = [];
  const firstNames = new Map<string, string>();
  for (const entry of readTreeIndex(source.indexFile)) {
    const name = entry.name.toString("latin1");
    const first = entry.hardLink === undefined ? undefined : firstNames.get(entry.hardLink);
    if (entry.hardLink !== undefined) firstNames.set(entry.hardLink, first ?? name);
    tree.push({
      name,
      type: entry.type,
      size: entry.size,
      mode: entry.mode,
      mtime: String(entry.mtimeNs),
      ...(entry.type === "file" ? { sha256: sha256Of(await contentOf(source, entry)) } : {}),
      ...(entry.link === undefined ? {} : { link: entry.link.toString("latin1") }),
      ...(first === undefined ? {} : { same_as: first }),
      ...(entry.attributes === undefined ? {} : { xattrs: entry.attributes }),
    });
  }
  // The two folders on the way are entries as well, with whatever time and mode they had.
  return { tree: tree.slice(2) };
}

async function contentOf(source: FixtureSource, { chunks, holes, size }: IndexEntry): Promise<Buffer> {
  const stored = await source.bytes(chunks);
  const content = Buffer.alloc(size);
  let from = 0;
  let to = 0;
  for (const [offset, length] of [...holes, [size, 0] as const]) {
    from += stored.copy(content, to, from, from + offset - to);
    to = offset + length;
  }
  return content;
}

async function readStream(source: FixtureSource): Promise<ExpectedSource> {
  const { chunks, entries, size } = readStreamIndex(source.indexFile, source.metadata.kind);
  const bytes = await source.bytes(chunks);
  const parts = entries.map(({ name, offset, size: length }) => [
    name,
    sha256Of(bytes.subarray(offset, offset + length)),
  ]);
  return { stream: { size, sha256: sha256Of(bytes), parts: Object.fromEntries(parts) } };
}

function recover(repository: string, { directory }: ExpectedBackup, source: string, to: string): void {
  const keyFile = path.join(tempDir(), "key");
  fs.writeFileSync(keyFile, manifest.key);
  const id = directory.slice(-8);
  const args = [RECOVER, "restore", folderOf(repository), id, source, "--key-file", keyFile, "--to", to];
  const run = spawnSync(process.execPath, [...args, "--allow-unencrypted"], { encoding: "utf8", env: {} });
  expect(run.status === 0 ? "done" : run.stderr).toBe("done");
}

/** What every reader gives back: times to the microsecond, no attributes. */
function onDisk(entries: readonly TreeEntry[]): readonly unknown[] {
  return entries.map(({ xattrs: _, mtime, type, mode, ...entry }) => ({
    ...entry,
    type,
    // Linux gives every symlink this mode, other systems others.
    mode: type === "symlink" ? 0o777 : mode,
    microseconds: microsecondsOf(BigInt(mtime)),
  }));
}

/** Rounded down, before 1970 as well. */
function microsecondsOf(ns: bigint): bigint {
  return (ns - (((ns % 1000n) + 1000n) % 1000n)) / 1000n;
}

test("recover.mjs opens a sealed backup with its passphrase as well", () => {
  const passphraseFile = path.join(tempDir(), "passphrase");
  fs.writeFileSync(passphraseFile, `${manifest.passphrase}\n`);
  const run = spawnSync(
    process.execPath,
    [RECOVER, "list", folderOf("sealed-zstd"), "--passphrase-file", passphraseFile],
    { encoding: "utf8", env: {} },
  );

  expect(run.stdout.match(/ verified$/gm)).toHaveLength(3);
});

test.each(repositories)("$name passes the program's verification", async ({ name }) => {
  const home = tempDir();
  const { exitCode, stdout, stderr } = await runCli(["verify", "--all", "--config", siteWith(home, name)], { home });

  expect(exitCode === 0 ? "passed" : stdout + stderr).toBe("passed");
});

test("the program gives back the newest backup on a machine that has nothing but the key", async () => {
  const home = tempDir();
  const to = path.join(home, "files");
  const config = siteWith(home, "sealed-zstd");
  const { exitCode, stderr } = await runCli(["download", "latest", "--to", to, "--config", config], { home });
  const newest = Object.values(manifest.repositories["sealed-zstd"]?.at(-1)?.sources ?? {});

  expect(exitCode === 0 ? "done" : stderr).toBe("done");
  const wanted = newest.flatMap(({ stream }) => hashesOfFiles(stream?.parts ?? {}));
  expect(wanted).toHaveLength(5);
  expect(hashesBelow(to)).toEqual(expect.arrayContaining(wanted));
});

/** A copy of the fixture, because verifying writes notes, and a configuration of the place alone. */
function siteWith(home: string, repository: string): string {
  fs.cpSync(folderOf(repository), path.join(home, "repository"), { recursive: true });
  const config = path.join(home, "backup.config.yaml");
  const encryption = WITHOUT_KEY.includes(repository)
    ? "enabled: false"
    : `keys: {main: {provider: local, key: ${manifest.key}}}`;
  fs.writeFileSync(
    config,
    `storages: {disk: {type: local, path: ${home}/repository}}
state_dir: ${home}/state
encryption: {${repository === "proven-none" ? "enabled: false, " : ""}${encryption}}
`,
  );
  return config;
}

const shops = all.filter(({ backup }) => backup.sources.shop !== undefined);

test.each(shops)("the ranges of a database's tables hold the tables' rows: $mode", async ({ repository, backup }) => {
  const opened = await openFixture(folderOf(repository), backup.directory, { keys, pool });
  const source = await opened.source("shop", tempDir());
  const { chunks, entries } = readStreamIndex(source.indexFile, source.metadata.kind);
  const stream = await source.bytes(chunks);
  const database = entries.find(({ type }) => type === "database");
  const tables = entries.filter(({ type }) => type === "table");
  const rows = tables.map(({ name, offset, size }) => [
    name,
    rowsIn(stream.subarray(offset, offset + size), Number(database?.integer_bytes)),
  ]);

  expect(Object.fromEntries(rows)).toEqual(backup.sources.shop?.tables);
  expect(tables.map(({ rows: count }) => count)).toEqual(rows.map(([, lines]) => lines?.length));
});

/** As docs/format.md describes the range of a table: pieces after their lengths up to a zero, joined the text form of COPY. */
function rowsIn(range: Buffer, integerBytes: number): readonly string[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (;;) {
    const length = range.readUIntLE(at + 1, integerBytes);
    at += 1 + integerBytes;
    if (length === 0) break;
    pieces.push(range.subarray(at, at + length));
    at += length;
  }
  expect(at).toBe(range.length);
  const lines = Buffer.concat(pieces).toString("utf8").split("\n");
  return lines.slice(0, lines.indexOf("\\."));
}

test("the fixtures hold the cases that are easily read wrong", async () => {
  const { backups } = repositories.find(({ name }) => name === "sealed-zstd") ?? { backups: [] };
  const opened = await openFixture(folderOf("sealed-zstd"), backups[0]?.directory ?? "", { keys, pool });
  const { indexFile } = await opened.source("uploads", tempDir());
  const lines = fs.readFileSync(indexFile, "utf8");
  const members = ['"name_b64":', '"link_b64":', '"more":1', '"xattrs":', '"mtime":"-'];
  const entries = [...readTreeIndex(indexFile)];

  expect(entries.filter(({ holes }) => holes.length > 0)).toHaveLength(1);
  expect(entries.filter(({ hardLink }) => hardLink !== undefined)).toHaveLength(2);
  expect(Math.max(...entries.map(({ chunks }) => chunks.length))).toBeGreaterThan(512);
  expect(members.filter((member) => !lines.includes(member))).toEqual([]);
});
