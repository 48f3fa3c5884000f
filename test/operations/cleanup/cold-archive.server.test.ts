import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { CleanupRequest, Operations } from "../../../src/operations/operations.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import { type ColdKeys, coldStorage, finishThaw, THAW_MS } from "../../helpers/cold-storage.ts";
import { withStorages } from "../../helpers/open-site.ts";
import { download, NOTHING_ASKED, restore } from "../restore/tools.ts";
import { agedSite } from "./aged-site.ts";

const ONCE: CleanupRequest = { force: false, lockWaitMs: 0 };
const TIME = "\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z";
const READ = { all: false, deep: false, quick: false, components: [] };

/** Of a month with an incremental backup of it, both past their time, and a newer backup; the archive has a cold class. */
async function coldSite() {
  const { site, made, wait } = await agedSite({ storages: { vault: "archive" } });
  const month = await made(60, { retentionClass: "monthly", retentionDays: 14 });
  const child = await made(59, { mode: "incremental", retentionClass: "monthly", retentionDays: 14 });
  await made(1);
  const keys: ColdKeys = new Map();
  const open = () => withStorages(site, (storage) => (storage.name === "vault" ? coldStorage(storage, keys) : storage));
  return { site, wait, month, child, keys, open, operations: await open() };
}

async function archivedSite() {
  const site = await coldSite();
  await site.operations.cleanup(ONCE);
  return site;
}

function statesOf(keys: ColdKeys): readonly string[] {
  return [...keys.values()].sort();
}

function coldError(what: string) {
  return expect.objectContaining({ code: "OBJECT_COLD", exitCode: 3, message: expect.stringContaining(what) });
}

it("moves data to the cold class once it was verified there, and leaves what plans need where it can be read", async () => {
  const { operations, month, child, keys, site } = await coldSite();

  const { archived, frozen, storages } = await operations.cleanup(ONCE);

  expect(archived.map(({ backupId }) => backupId)).toEqual(expect.arrayContaining([month, child]));
  expect(frozen).toEqual([
    { backupId: child, to: "vault" },
    { backupId: month, to: "vault" },
  ]);
  expect(storages.map(({ removed, failure }) => [removed.length, failure])).toEqual([
    [2, undefined],
    [0, undefined],
  ]);
  expect([...keys.keys()].map((key) => key.split("/").at(-1))).toEqual([
    "www.tree.zst.enc.00000000",
    "www.tree.zst.enc.00000000",
  ]);
  expect(await operations.cleanup(ONCE)).toMatchObject({ archived: [], frozen: [] });
  const rebuilt = await site.reopen();
  expect(await rebuilt.rebuildCatalog()).toMatchObject({ found: 3, damaged: [] });
});

it("plans a restore without asking for anything, then asks once, and goes on when all can be read", async () => {
  const { open, child, keys, site } = await archivedSite();
  const to = join(site.directory, "restored");
  const request = { ...NOTHING_ASKED, reference: child, to };

  const plan = await (await open()).planRestore(request);
  expect(plan.frozen).toEqual([{ storage: "vault", packs: 2, bytes: expect.any(Number), asked: 0, thawMs: THAW_MS }]);
  expect(statesOf(keys)).toEqual(["frozen", "frozen"]);

  await expect(restore(await open(), request)).rejects.toEqual(coldError('"vault" was asked to thaw 2 packs'));
  expect(statesOf(keys)).toEqual(["thawing", "thawing"]);
  const again = restore(await open(), request);
  await expect(again).rejects.toEqual(coldError("2 packs"));
  await expect(again).rejects.toThrow(
    new RegExp(`still being thawed in storage "vault", and can be read by ${TIME} at`),
  );
  const { frozen } = await (await open()).planRestore(request);
  const leftMs = Date.parse(frozen[0]?.expectedAt ?? "") - Date.now();
  expect([leftMs > THAW_MS - 60_000, leftMs <= THAW_MS]).toEqual([true, true]);
  expect(existsSync(to)).toBe(false);

  const [first] = keys.keys();
  keys.set(first ?? "", "ready");
  await expect(restore(await open(), request)).rejects.toEqual(coldError("1 pack"));
  finishThaw(keys);
  const { sources } = await restore(await open(), request);

  expect(sources).toMatchObject([{ status: "completed" }]);
  expect(readdirSync(to, { recursive: true }).join()).toContain("at-59");
});

it("does not say when what another host asked for can be read, nor a time that is over", async () => {
  const { open, child, keys, site, wait } = await archivedSite();
  const request = { ...NOTHING_ASKED, reference: child, to: join(site.directory, "restored") };
  const states = [...keys.keys()];
  for (const key of states) keys.set(key, "thawing");

  await expect(restore(await open(), request)).rejects.toThrow("5 hours at most from when they were asked for");
  for (const key of states) keys.set(key, "frozen");
  await expect(restore(await open(), request)).rejects.toThrow("they can be read by");
  wait(THAW_MS + 1);
  await expect(restore(await open(), request)).rejects.toThrow("5 hours at most from when they were asked for");
});

it("asks for no more than what is wanted", async () => {
  const { operations, child, keys, site } = await archivedSite();
  const include = [join(site.directory, "www/at-59")];

  await expect(restore(operations, { reference: child, to: join(site.directory, "one"), include })).rejects.toThrow(
    "to thaw 1 pack (",
  );

  expect([...keys].filter(([, state]) => state === "thawing")).toHaveLength(1);
  expect([...keys].find(([, state]) => state === "thawing")?.[0]).toContain("incremental");
});

it("reads a warm copy instead where there is one", async () => {
  const { operations, month, keys, site } = await coldSite();
  await operations.replicate({ reference: month, to: ["vault"], dryRun: false, lockWaitMs: 0 });
  for (const key of vaultPacks(site.directory)) keys.set(key, "frozen");
  rmSync(join(site.repositoryDirectory, [...keys.keys()][0] ?? ""));

  const plan = await operations.planRestore({ ...NOTHING_ASKED, reference: month, to: join(site.directory, "a") });
  expect(plan.frozen).toMatchObject([{ packs: 1 }]);

  keys.clear();
  const { sources } = await restore(operations, { reference: month, to: join(site.directory, "b") });
  expect(sources).toMatchObject([{ status: "completed" }]);
});

function vaultPacks(directory: string): readonly string[] {
  const vault = join(directory, "vault");
  return readdirSync(vault, { recursive: true, encoding: "utf8" }).filter((name) =>
    /www\.tree\.zst\.enc\.0/.test(name),
  );
}

it.each<[string, (operations: Operations, id: string, to: string) => Promise<unknown>]>([
  ["download", (operations, reference, to) => download(operations, { reference, to })],
  ["verify", (operations, reference) => operations.verify({ ...READ, reference, storage: "vault" })],
])("asks for a %s, too, and goes on when it is called again", async (_, run) => {
  const { open, month, keys, site } = await archivedSite();
  const to = join(site.directory, "files");

  await expect(run(await open(), month, to)).rejects.toEqual(coldError("was asked to thaw 1 pack"));
  expect(existsSync(to)).toBe(false);
  finishThaw(keys);

  await expect(run(await open(), month, to)).resolves.toBeDefined();
});

it("verifies what is readable of many backups, and asks for the others only where the storage was named", async () => {
  const { operations, keys } = await archivedSite();

  const all = await operations.verify({ ...READ, all: true });
  expect(all.backups.map(({ unseen }) => unseen)).toEqual(["cold", "cold", undefined]);
  expect(statesOf(keys)).toEqual(["frozen", "frozen"]);
  expect((await operations.verify({ ...READ, all: true, quick: true })).passed).toBe(true);

  await operations.verify({ ...READ, all: true, storage: "vault" });
  expect(statesOf(keys)).toEqual(["thawing", "thawing"]);
});

it("asks for what is replicated from the archive", async () => {
  const { open, month, keys, site } = await archivedSite();
  const request = { reference: month, from: "vault", to: ["local"], dryRun: false, lockWaitMs: 0 };

  const asked = await (await open()).replicate(request);
  finishThaw(keys);
  const copied = await (await open()).replicate(request);

  expect(asked.storages[0]?.notCopied).toMatchObject([{ backupId: month, error: { code: "OBJECT_COLD" } }]);
  expect(copied.storages[0]?.copied).toEqual([month]);
  await restore(await site.reopen(), { reference: month, to: join(site.directory, "back") });
});

it("asks the archive for what a repair needs of it", async () => {
  const { open, operations, month, keys, site } = await coldSite();
  await operations.replicate({ reference: month, to: ["vault"], dryRun: false, lockWaitMs: 0 });
  const [pack = ""] = vaultPacks(site.directory);
  keys.set(pack, "frozen");
  rmSync(join(site.repositoryDirectory, pack));
  const repair = { ...READ, reference: month, storage: "local", repair: true };

  expect((await (await open()).verify(repair)).passed).toBe(false);
  expect(keys.get(pack)).toBe("thawing");
  expect(site.warnings.join()).toContain("it was asked for: repair again when it can be read");
  finishThaw(keys);
  expect((await (await open()).verify(repair)).passed).toBe(true);
});

it("moves and verifies with the next cleanup what one that ended early left readable", async () => {
  const { site, month, child, keys, operations } = await coldSite();
  const refuses = await withStorages(site, (storage) => {
    if (storage.name !== "vault") return storage;
    const cold = coldStorage(storage, keys);
    if (cold.cold === undefined) return cold;
    return changed(cold, { cold: { ...cold.cold, freeze: () => Promise.reject(new Error("killed")) } });
  });

  await expect(refuses.cleanup(ONCE)).rejects.toThrow("killed");
  const { archived, frozen } = await operations.cleanup(ONCE);

  expect(archived).toEqual([]);
  expect(frozen.map(({ backupId }) => backupId)).toEqual([child, month]);
});

it("says what could not be moved, leaves it readable, and moves it with the next cleanup", async () => {
  const { site, month, child, keys, operations } = await coldSite();
  const denied = new BackupctlError("STORAGE_DENIED", "the login may not do that", { hint: "Allow it." });
  const refuses = await withStorages(site, (storage) => {
    if (storage.name !== "vault") return storage;
    const cold = coldStorage(storage, keys);
    if (cold.cold === undefined) return cold;
    return changed(cold, { cold: { ...cold.cold, freeze: () => Promise.reject(denied) } });
  });

  const { archived, frozen, storages } = await refuses.cleanup(ONCE);

  const notMoved = (id: string): string =>
    `backup ${id} is not moved to the cold class of "vault": the login may not do that`;
  expect(archived).toHaveLength(2);
  expect([frozen, keys.size]).toEqual([[], 0]);
  expect(storages[1]?.failure).toMatchObject({ code: "STORAGE_DENIED", message: notMoved(child), hint: "Allow it." });
  expect(site.warnings).toContain(notMoved(month));
  expect((await operations.cleanup(ONCE)).frozen.map(({ backupId }) => backupId)).toEqual([child, month]);
});

it("removes nothing that was copied to the archive by hand and can't be read there, and keeps that readable", async () => {
  const { operations, month, child, keys, site } = await coldSite();
  await operations.replicate({ reference: child, to: ["vault"], dryRun: false, lockWaitMs: 0 });
  const pack = join(site.directory, "vault", vaultPacks(site.directory)[0] ?? "");
  chmodSync(pack, 0o600);
  writeFileSync(pack, readFileSync(pack).fill(0, 100, 110));

  const { frozen, storages } = await operations.cleanup(ONCE);

  expect(frozen).toEqual([]);
  expect(keys.size).toBe(0);
  expect(storages[0]?.removed).toEqual([]);
  expect(storages[0]?.notRemoved.map(({ backupId }) => backupId)).toEqual(expect.arrayContaining([month, child]));
});

it("thaws what a backup builds on to verify that one in the archive, and moves it then", async () => {
  const { site, made } = await agedSite({ storages: { vault: "archive" } });
  const keys: ColdKeys = new Map();
  const open = () => withStorages(site, (each) => (each.name === "vault" ? coldStorage(each, keys) : each));
  const monthly = { retentionClass: "monthly", retentionDays: 14 };
  const month = await made(60, monthly);
  const operations = await open();
  await operations.replicate({ reference: month, to: ["vault"], dryRun: false, lockWaitMs: 0 });
  expect((await operations.cleanup(ONCE)).frozen).toEqual([{ backupId: month, to: "vault" }]);
  const child = await made(59, { ...monthly, mode: "incremental" });
  await made(1);

  const asked = await (await open()).cleanup(ONCE);
  finishThaw(keys);
  const moved = await (await open()).cleanup(ONCE);

  expect(asked.storages[0]).toMatchObject({
    removed: [],
    notRemoved: [{ backupId: child, error: { code: "OBJECT_COLD" } }],
  });
  // Said once is enough.
  expect(asked.storages[1]?.failure).toBeUndefined();
  expect(site.warnings.join()).not.toContain("is not moved to the cold class");
  expect(moved.archived).toEqual([{ backupId: child, to: "vault" }]);
  // What it builds on was the last verified one until now.
  expect(moved.storages[0]?.removed).toEqual([child]);
});
