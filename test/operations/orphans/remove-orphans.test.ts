import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import { createOne, type OpenSite, objectsIn, openSite, withFaults, withStorages } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

const LEFT = "full/daily/2026-01-02/full-03-04-05-0a1b2c3d";
const PACKS = ["www.tree.zst.enc.00000000", "www.tree.zst.enc.00000001"];
const DAY_MS = 86_400_000;
const away = new BackupctlError("STORAGE_FAILED", "the line is cut");

/** What a run that died days ago, of this host or another, may have left; no catalog knows it. */
function leave(site: OpenSite, storage: string, daysAgo: number, names: readonly string[] = PACKS): string {
  const folder = path.join(site.directory, storage, LEFT);
  mkdirSync(folder, { recursive: true });
  for (const name of names) writeFileSync(path.join(folder, name), name);
  age(folder, daysAgo, names);
  return folder;
}

function age(folder: string, daysAgo: number, names: readonly string[]): void {
  const at = new Date(Date.now() - daysAgo * DAY_MS);
  for (const name of names) utimesSync(path.join(folder, name), at, at);
}

it("what a run left that died goes at the next full backup after the grace, and is said and logged", async () => {
  const site = await openSite({ replica: true });
  const folders = [leave(site, "repository", 8), leave(site, "replica", 8)];

  await createOne(site);

  expect(folders.filter(existsSync)).toEqual([]);
  expect(site.warnings).toEqual([
    `a run that died had left 2 objects in ${LEFT} of storage "local": removed`,
    `a run that died had left 2 objects in ${LEFT} of storage "second": removed`,
  ]);
  const events = (await site.context.catalog("read")).events({}).filter(({ action }) => action === "orphan:remove");
  const detail = { storage_path: LEFT, objects: 2, bytes: 50 };
  expect(events.map((event) => event.detail)).toEqual([
    { ...detail, storage: "second" },
    { ...detail, storage: "local" },
  ]);
  expect(new Set(objectsIn(site).map(path.dirname)).size).toBe(1);
});

it("what a deletion left that died goes as well", async () => {
  const site = await openSite();
  const folder = leave(site, "repository", 8, ["deleted.json", "keys-1-0a1b2c3d.json", ...PACKS]);

  await createOne(site);

  expect(existsSync(folder)).toBe(false);
});

it("the grace is what the config says", async () => {
  const site = await openSite({ more: "orphan_grace: 2h" });
  const folder = leave(site, "repository", 0.1);

  await createOne(site);

  expect(existsSync(folder)).toBe(false);
});

it("what is younger than the grace stays, as it may be a run of another host", async () => {
  const site = await openSite();
  const folder = leave(site, "repository", 6.9);

  await createOne(site);

  expect(PACKS.map((name) => existsSync(path.join(folder, name)))).toEqual([true, true]);
  expect(site.warnings).toEqual([]);
});

it("an incremental backup leaves it to the next full one", async () => {
  const site = await openSite();
  await createOne(site);
  const folder = leave(site, "repository", 8);

  await createOne(site, { mode: "incremental" });

  expect(existsSync(folder)).toBe(true);
});

it("nothing goes while a storage is away, where a whole backup may lie", async () => {
  const site = await openSite({ replica: true });
  const folder = leave(site, "repository", 8);
  renameSync(path.join(site.directory, "replica"), path.join(site.directory, "away"));

  await createOne(site);

  expect(existsSync(folder)).toBe(true);
});

it("an archive is not even opened, and keeps nothing from going", async () => {
  const site = await openSite({ storages: { vault: "archive" } });
  const folder = leave(site, "repository", 8);
  let opened = 0;
  const operations = await withStorages(site, (storage) => {
    if (storage.name !== "vault") return storage;
    opened++;
    throw away;
  });

  const { storages, warnings } = await operations.create(NO_CHOICES);

  expect(storages).toEqual([{ name: "local", state: "complete" }]);
  expect(opened).toBe(0);
  expect(warnings).toEqual([]);
  expect(existsSync(folder)).toBe(false);
});

it("a backup is made before storages are looked through, and one that tries again is not waited for until it gives up", async () => {
  const site = await openSite({ replica: true });
  // The very first run asks each storage whether it is new.
  await site.operations.create(NO_CHOICES);
  let madeBefore: number | undefined;
  let nowMs = 0;
  const retries = { monotonicMs: () => nowMs, now: () => new Date() };
  const folder = leave(site, "repository", 8);
  const operations = await withStorages(
    { ...site, reopen: (changes) => site.reopen({ ...changes, clock: retries }) },
    (storage) => {
      if (storage.name !== "second") return storage;
      return changed(storage, {
        async *list(prefix, options) {
          if (prefix === "") madeBefore ??= objectsIn(site).filter((key) => key.endsWith("metadata.json")).length;
          while (prefix === "" && nowMs < 300_000) {
            options?.signal?.throwIfAborted();
            options?.onRetry?.({ error: away, waitMs: 1_000 });
            nowMs += 1_000;
          }
          yield* storage.list(prefix, options);
        },
      });
    },
  );

  await operations.create(NO_CHOICES);

  expect(madeBefore).toBe(2);
  expect(nowMs).toBeLessThanOrEqual(16_000);
  expect(existsSync(folder)).toBe(true);
});

it("what a run without room finds in its way goes though it fails", async () => {
  const site = await openSite();
  const folder = leave(site, "repository", 8);
  const operations = await withStorages(site, (storage) => changed(storage, { space: async () => ({ freeBytes: 1 }) }));

  await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({ code: "INSUFFICIENT_STORAGE" });

  expect(existsSync(folder)).toBe(false);
});

it("a run that wakes up when its leavings are about to go keeps them", async () => {
  const site = await openSite({ replica: true });
  const folders = [leave(site, "repository", 8), leave(site, "replica", 8)];
  const operations = await withFaults(site, (storage) => {
    if (storage.name !== "local") return;
    storage.onKey("put", /0a1b2c3d\/deleted\.json$/).meanwhile(async () => {
      writeFileSync(path.join(site.directory, "repository", LEFT, "SHA256SUMS"), "");
    });
  });

  await operations.create(NO_CHOICES);

  const names = [...PACKS, "SHA256SUMS"];
  expect(objectsIn(site).filter((key) => key.startsWith(LEFT))).toEqual(names.map((name) => `${LEFT}/${name}`).sort());
  expect(folders.map(existsSync)).toEqual([true, true]);
});

it("what is copied back in the meantime stays, however old it says it is", async () => {
  const site = await openSite();
  const folder = leave(site, "repository", 8);
  const operations = await withFaults(site, (storage) => {
    storage.onKey("put", /0a1b2c3d\/deleted\.json$/).meanwhile(async () => {
      leave(site, "repository", 8, ["www.tree.zst.enc.00000002"]);
    });
  });

  await operations.create(NO_CHOICES);

  expect(readdirSync(folder).sort()).toEqual([...PACKS, "www.tree.zst.enc.00000002"].sort());
});

it("what lies deeper is somebody's own, and stays with what is around it", async () => {
  const site = await openSite();
  const folder = leave(site, "repository", 8);
  mkdirSync(path.join(folder, "keep"));
  writeFileSync(path.join(folder, "keep", "metadata.json"), "");
  age(path.join(folder, "keep"), 8, ["metadata.json"]);

  await createOne(site);

  expect(readdirSync(folder).sort()).toEqual([...PACKS, "keep"].sort());
  expect(readdirSync(path.join(folder, "keep"))).toEqual(["metadata.json"]);
});

it("half a deletion that stays keeps its mark", async () => {
  const site = await openSite();
  const folder = leave(site, "repository", 8, ["deleted.json", "SHA256SUMS", ...PACKS]);
  mkdirSync(path.join(folder, "keep"));
  writeFileSync(path.join(folder, "keep", "note"), "");

  await createOne(site);

  expect(readdirSync(folder).sort()).toEqual(["SHA256SUMS", "deleted.json", "keep", ...PACKS].sort());
});

it("nothing goes from a storage whose clock is not that of this host", async () => {
  const site = await openSite();
  const folder = leave(site, "repository", 8);
  const operations = await withFaults(site, (storage) => {
    storage.onKey("list", /0a1b2c3d$/).meanwhile(() => age(folder, 6 / (24 * 60), ["deleted.json"]));
  });

  await operations.create(NO_CHOICES);

  expect(PACKS.map((name) => existsSync(path.join(folder, name)))).toEqual([true, true]);
  expect(existsSync(path.join(folder, "deleted.json"))).toBe(false);
});

it("the packs that a known backup builds on stay, whatever else was lost of theirs", async () => {
  const site = await openSite();
  await createOne(site);
  const folder = await site.backupDirectory();
  await createOne(site, { mode: "incremental" });
  const names = objectsIn(site)
    .filter((key) => folder.endsWith(path.dirname(key)))
    .map((key) => path.basename(key));
  const packs = names.filter((name) => name.startsWith("www."));
  for (const name of names.filter((other) => !packs.includes(other))) rmSync(path.join(folder, name));
  age(folder, 8, packs);

  await createOne(site);

  expect(packs.filter((name) => !existsSync(path.join(folder, name)))).toEqual([]);
});

it("a backup is made all the same where they can't be removed", async () => {
  const site = await openSite();
  const folder = leave(site, "repository", 8);
  const error = new BackupctlError("STORAGE_FAILED", "permission denied");
  const operations = await withFaults(site, (storage) => void storage.onKey("remove", /0a1b2c3d/).fail(error));

  await expect(operations.create(NO_CHOICES)).resolves.toMatchObject({ created: true });

  expect(existsSync(folder)).toBe(true);
  expect(site.warnings).toEqual(["what died runs left in storage stays there for now: permission denied"]);
});
