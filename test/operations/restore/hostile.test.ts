import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isBackupctlError } from "../../../src/errors.ts";
import { WorkerPool } from "../../../src/format/workers/pool.ts";
import type { RestoreResult } from "../../../src/operations/operations.ts";
import { forge } from "../../helpers/forge.ts";
import { entry, FORGERIES, type NamedForgery } from "../../helpers/forgeries.ts";
import { openSite } from "../../helpers/open-site.ts";
import { download, namesIn, restore } from "./tools.ts";

const FIXTURE = path.join(import.meta.dirname, "../../fixtures/format-v1/open-zstd");
const DIRECTORY = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";
const ID = "8e24a759-5e07-43b3-8b60-58b06cd0c3aa";

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(async () => pool.close());

/** A site whose backup somebody rewrote who may write to the storage, with a folder deep enough to see what leads out of it. */
async function forgedSite({ source, ...forgery }: NamedForgery) {
  const site = await openSite();
  fs.cpSync(FIXTURE, site.repositoryDirectory, { recursive: true, force: true });
  const temporary = path.join(site.directory, "temporary");
  fs.mkdirSync(temporary);
  await forge(site.repositoryDirectory, { directory: DIRECTORY, source }, forgery, { pool, directory: temporary });
  const around = path.join(site.directory, "around");
  fs.mkdirSync(path.join(around, "a/b"), { recursive: true });
  const operations = await site.reopen();
  await operations.rebuildCatalog();
  return { site, operations, around, to: `${around}/a/b/to/` };
}

/** Such a backup restored; and what lies at its target and beside it then. */
async function restoreForged(forgery: NamedForgery) {
  const { operations, around, to } = await forgedSite(forgery);
  const asked = { reference: ID, sources: [forgery.source], to, allowUnencrypted: ID };
  const outcome: RestoreResult | Error = await restore(operations, asked).catch((error: Error) => error);
  return { outcome, written: writtenIn(around) };
}

/** What lies around the target, by the names below the folder for it. */
function writtenIn(around: string): readonly string[] {
  const names = namesIn(around).filter((name) => !/^a(\/b(\/to\/.*)?)?$/.test(name));
  return names.map((name) => path.relative("a/b", name));
}

test("what says nothing wrong is restored", async () => {
  const { outcome, written } = await restoreForged({ what: "nothing", source: "notes" });

  expect(outcome).toMatchObject({ sources: [{ status: "completed" }] });
  expect(written).toEqual(["to"]);
});

const LEADING_ELSEWHERE =
  /two dots|with a slash|below a symlink|leads elsewhere|through a folder|zero byte|no name at all/;

/** The others are refused where the index is read, which test/recovery and test/format show; these would lead elsewhere. */
test.each(FORGERIES.filter(({ what }) => LEADING_ELSEWHERE.test(what)))("$what is refused", async (forgery) => {
  const { outcome, written } = await restoreForged(forgery);

  expect(isBackupctlError(outcome, "BACKUP_CORRUPTED")).toBe(true);
  expect(written).toEqual([]);
});

/** One of each way out; the others are refused in the same line. */
const NAMES_OF_STREAMS = FORGERIES.filter(({ what }) =>
  /^a stream with a name that (begins|leads elsewhere)/.test(what),
);

test.each(NAMES_OF_STREAMS)("$what is found by verify --deep, which writes it nowhere", async (forgery) => {
  const { site, operations } = await forgedSite(forgery);
  const before = namesIn(site.directory);

  const asked = { reference: ID, all: false, deep: true, quick: false, components: [], allowUnencrypted: ID };
  const { backups } = await operations.verify(asked);

  expect(backups.map(({ passed }) => passed)).toEqual([false]);
  expect(backups[0]?.issues.join()).toContain('source "app": the entry ');
  expect(namesIn(site.directory).filter((name) => !before.includes(name) && !name.startsWith("state/"))).toEqual([]);
  expect(namesIn(site.directory).filter((name) => name.includes("escaped"))).toEqual([]);
});

test.each(NAMES_OF_STREAMS)("$what is left out with --skip-damaged, and not downloaded", async (forgery) => {
  const { operations, around, to } = await forgedSite(forgery);

  const asked = { reference: ID, to: around, allowUnencrypted: ID };
  const all = { ...asked, sources: ["app", "notes"], skipDamaged: true, to };
  expect(await restore(operations, all)).toMatchObject({
    sources: [{ name: "app", status: "skipped" }, { name: "notes" }],
  });
  expect(fs.readdirSync(to)).toEqual(["notes"]);
  await expect(download(operations, { ...asked, sources: ["app"] })).rejects.toThrow('source "app" of backup');
  expect(writtenIn(around)).toEqual(["to"]);
});

const EXTREMES: readonly NamedForgery[] = [
  entry("all bits of a mode", "file", (line) => ({ ...line, mode: 2 ** 53 - 1 })),
  entry("an owner beyond all numbers", "file", ({ user: _, ...line }) => ({ ...line, uid: 2 ** 53 - 1 })),
  entry("a group beyond all numbers", "symlink", ({ group: _, ...line }) => ({ ...line, gid: 2 ** 32 })),
  entry("a time beyond all calendars", "file", (line) => ({ ...line, mtime: "9".repeat(30) })),
  entry("a time before all calendars", "symlink", (line) => ({ ...line, mtime: `-${"9".repeat(30)}` })),
  entry("a directory's time beyond all calendars", "directory", (line) => ({ ...line, mtime: "9".repeat(30) })),
  entry("a name that is too long", "symlink", (line) => ({ ...line, name: `${String(line.name)}${"x".repeat(300)}` })),
  entry("a symlink of nothing", "symlink", (line) => ({ ...line, link: "" })),
  entry("a symlink that is too long", "symlink", (line) => ({ ...line, link: "x".repeat(5000) })),
  entry("a symlink without a target", "symlink", ({ link: _, ...line }) => line),
  entry("attributes of no name space", "file", (line) => ({ ...line, xattrs: { x: "", "": "AA==", "user.\0": "" } })),
  entry("an attribute that is too large", "file", (line) => ({ ...line, xattrs: { "user.x": "A".repeat(200_000) } })),
];

/** Nothing in the format forbids them, and no system has them. */
test.each(EXTREMES)("$what is restored, or refused in words", async (forgery) => {
  const { outcome, written } = await restoreForged(forgery);

  expect(outcome instanceof Error ? isBackupctlError(outcome) : true).toBe(true);
  expect(written).toEqual(outcome instanceof Error ? [] : ["to"]);
});
