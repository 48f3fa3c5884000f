import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "vitest";
import { openOperations } from "../../src/operations/open.ts";
import type { BackupSummary, CreateRequest, Operations } from "../../src/operations/operations.ts";
import { NO_CHOICES, openSession } from "../helpers/site.ts";
import { type KillSite, STORAGE_FOLDERS } from "./killed-program.ts";

/** The next run of the same host; what it warns of comes to `warnings`. */
export async function nextRun<T>(
  { configFile }: KillSite,
  use: (operations: Operations) => Promise<T>,
  warnings: string[] = [],
): Promise<T> {
  const { loaded, ...session } = await openSession(configFile, {}, warnings);
  // A second thread takes longer to come up than the little that there is to do.
  const config = { ...loaded.config, workers: 1 };
  const operations = await openOperations({ ...session, loaded: { ...loaded, config }, host: os.hostname() });
  try {
    return await use(operations);
  } finally {
    await operations.close();
  }
}

const GOOD = ["completed", "completed_with_errors", "partial"];

export async function goodBackups(operations: Operations): Promise<readonly BackupSummary[]> {
  const { backups } = await operations.list({ limit: 1000, offset: 0 });
  return backups.filter(({ status }) => GOOD.includes(status));
}

/** Whatever this or a rebuilt catalog calls a backup is whole in the primary, and in each other storage that is said to have it. */
export async function expectWholeBackups(operations: Operations): Promise<void> {
  for (const { id } of await goodBackups(operations)) {
    const { copies } = await operations.show(id);
    expect(copies).toContainEqual(expect.objectContaining({ storage: "local", state: "complete" }));
  }
  await expectWholeCopies(operations);
}

/** A copy that is half there, or half gone, says so; every backup has one that is whole. Nothing is read in a storage that is `away`. */
export async function expectWholeCopies(operations: Operations, away?: string): Promise<void> {
  const whole: { readonly id: string; readonly storage: string }[] = [];
  for (const { id } of await goodBackups(operations)) {
    const { copies } = await operations.show(id);
    const complete = copies.filter(({ state }) => state === "complete");
    expect(complete).not.toEqual([]);
    whole.push(...complete.map(({ storage }) => ({ id, storage })));
  }
  for (const storage of new Set(whole.map((copy) => copy.storage))) {
    if (storage === away) continue;
    // All of a storage at once: threads come up once, and each pack is read once.
    const { backups } = await operations.verify({ all: true, deep: false, quick: false, components: [], storage });
    const wanted = whole.filter((copy) => copy.storage === storage).map(({ id }) => id);
    const found = backups.filter(({ backupId }) => wanted.includes(backupId));
    expect(found.flatMap(({ issues }) => issues)).toEqual([]);
    expect(found).toHaveLength(wanted.length);
  }
}

/** Nothing that a killed run leaves is there any longer, once parts of objects have had their day. */
export async function expectNoLeavings(site: KillSite): Promise<void> {
  const storages = STORAGE_FOLDERS.filter((name) => fs.existsSync(path.join(site.directory, name)));
  for (const storage of storages) {
    for (const part of namesBelow(path.join(site.directory, storage)).filter(isPart))
      fs.utimesSync(path.join(site.directory, storage, part), 0, 0);
  }
  const [rebuilt, known] = await nextRun(
    site,
    async (operations) => [await operations.rebuildCatalog(), await goodBackups(operations)] as const,
  );
  expect(rebuilt).toMatchObject({ unverified: 0, unfinished: 0, damaged: [] });
  for (const storage of storages) {
    const names = namesBelow(path.join(site.directory, storage));
    const folders = new Set(names.filter((name) => name.split("/").length >= 5).map((name) => path.dirname(name)));
    const whole = names.filter((name) => path.basename(name) === "metadata.json").map((name) => path.dirname(name));
    expect([...folders].sort()).toEqual(whole.sort());
    expect(names.filter(isLeaving)).toEqual([]);
  }
  const [state = ""] = fs.readdirSync(path.join(site.directory, "state"));
  const below = (name: string): readonly string[] => {
    const folder = path.join(site.directory, "state", state, name);
    return fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  };
  expect(below("tmp")).toEqual([]);
  expect(below("reading")).toEqual([]);
  expect(known.map(({ id }) => id)).toEqual(expect.arrayContaining([...below("indexes")]));
}

function namesBelow(folder: string): readonly string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
}

/** What lies beside a backup's own objects for a while. */
function isLeaving(name: string): boolean {
  return isPart(name) || ["trial", "deleted.json"].includes(path.basename(name));
}

function isPart(name: string): boolean {
  return path.basename(name).startsWith(".part-");
}

export async function createNext(operations: Operations, mode = "incremental"): Promise<BackupSummary> {
  return createOf(operations, { mode });
}

export async function createOf(operations: Operations, request: Partial<CreateRequest>): Promise<BackupSummary> {
  const { backup } = await operations.create({ ...NO_CHOICES, ...request });
  if (backup === undefined) throw new Error("no backup was made");
  return backup;
}

type States = Readonly<Record<"old" | "now" | "restored", readonly string[]>>;

/** Compares what is said of the restore that died with what is there. */
export function expectTrue(warnings: readonly string[], sources: readonly string[], states: States): void {
  const { old, now, restored } = states;
  const warning = warnings.find((text) => text.startsWith("a restore of "));
  if (warning === undefined) expect([old, restored]).toContainEqual(now);
  else if (warning.includes("nothing came to its place")) expect(now).toEqual(old);
  else if (warning.includes("all of it had come")) expect(now).toEqual(restored);
  else {
    for (const source of sources) {
      const of = (lines: readonly string[]) => lines.filter((line) => sources.length === 1 || line.startsWith(source));
      if (warning.includes(`${source} is as it was`)) expect(of(now)).toEqual(of(old));
      else if (warning.includes(`${source} is the backup's`)) expect(of(now)).toEqual(of(restored));
      else expect(warning).toContain(`${source} may hold some of the backup`);
    }
  }
}

type CopyStates = Readonly<Record<string, readonly string[]>>;

/** Where the backups are whole, and that nothing else is there: the storages of each, by its id, the newest first. */
export async function expectCopies(operations: Operations, wanted: CopyStates): Promise<void> {
  const { backups } = await operations.list({ limit: 10, offset: 0 });
  expect(backups.map(({ id, status }) => [id, status])).toEqual(Object.keys(wanted).map((id) => [id, "completed"]));
  for (const [id, storages] of Object.entries(wanted)) {
    const { copies } = await operations.show(id);
    expect(copies.map(({ storage, state }) => [storage, state])).toEqual(storages.map((name) => [name, "complete"]));
  }
  await expectWholeCopies(operations);
}
