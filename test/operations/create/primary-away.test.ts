import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { encodeRepositoryMarker } from "../../../src/format/repository-marker.ts";
import { exitStatusOfCreate } from "../../../src/operations/exit-status.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { addFile, createOne, type OpenSite, openSite, withStorages } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { namesIn, restore, www } from "../restore/tools.ts";

const ALL = { to: [], dryRun: false, lockWaitMs: 0 };
const QUICK = { all: false, deep: false, quick: false, components: [] };
const PAGE = { limit: 10, offset: 0 };

const statesOf = ({ storages }: { readonly storages: readonly { readonly name: string; readonly state: string }[] }) =>
  Object.fromEntries(storages.map(({ name, state }) => [name, state]));

const LOCAL = "repository";

const OTHER = { repositoryId: "11111111-2222-4333-8444-555555555555", created: "2026-01-01T00:00:00.000Z" };

function unplug(site: OpenSite, folder = LOCAL): void {
  renameSync(join(site.directory, folder), join(site.directory, `${folder}.unplugged`));
}

function plugIn(site: OpenSite, folder = LOCAL): void {
  rmSync(join(site.directory, folder), { recursive: true, force: true });
  renameSync(join(site.directory, `${folder}.unplugged`), join(site.directory, folder));
}

/** Whatever lies in a storage, but for its own marker and what describes it. */
function objectsIn(site: OpenSite, folder: string): readonly string[] {
  const names = readdirSync(join(site.directory, folder), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.split("/").length === 5).sort();
}

/** Each a way in which the primary can't take a backup, as operations over the site that meet it. */
const AWAY: readonly [string, string, (site: OpenSite) => Promise<Operations>][] = [
  [
    "is not mounted",
    "does not exist",
    (site) => {
      unplug(site);
      return site.reopen();
    },
  ],
  [
    "is an empty mount point",
    "holds no repository yet",
    (site) => {
      unplug(site);
      mkdirSync(site.repositoryDirectory);
      return site.reopen();
    },
  ],
  [
    "refuses the login",
    "the login is wrong",
    (site) =>
      withStorages(site, (storage) => {
        if (storage.name === "local") throw new BackupctlError("STORAGE_DENIED", "the login is wrong");
        return storage;
      }),
  ],
  ["is full", "has 1000 B free", (site) => withStorages(site, freeBytes({ local: 1000 }))],
  [
    "fails when it is looked at",
    "the line is cut",
    (site) =>
      withStorages(site, (storage) => {
        const space = async () => Promise.reject(new BackupctlError("STORAGE_FAILED", "the line is cut"));
        return storage.name === "local" ? changed(storage, { space }) : storage;
      }),
  ],
];

function freeBytes(bytes: Readonly<Record<string, number>>) {
  return (storage: Storage): Storage => {
    const free = bytes[storage.name];
    return free === undefined ? storage : changed(storage, { space: async () => ({ freeBytes: free }) });
  };
}

describe.each(AWAY)("with a primary that %s when a run begins", (_, reason, takeAway) => {
  it("the backup is made in a replica, says so, and is pending in the primary", async () => {
    const site = await openSite({ replica: true });
    const operations = await takeAway(site);

    const result = await operations.create(NO_CHOICES);

    expect(result.backup?.status).toBe("completed");
    expect(statesOf(result)).toEqual({ local: "pending", second: "complete" });
    expect(result.warnings[0]).toContain('storage "local" takes no part in this run: ');
    expect(result.warnings[0]).toContain(reason);
    expect(result.warnings[0]).toContain('; the backup is made in "second"');
    expect(result.warnings.at(-1)).toMatch(/^storage "local" lacks this backup.*`backupctl replicate`$/);
    expect(site.warnings).toContain(result.warnings[0]);
    const to = join(site.directory, "to");
    await restore(operations, { latest: true, to });
    expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
  });

  it("a chain goes on in a replica that has it, and replicate brings all of it to the primary", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    addFile(site);
    const operations = await takeAway(site);

    const result = await operations.create({ ...NO_CHOICES, mode: "incremental" });

    expect(result.backup?.mode).toBe("incremental");
    expect(statesOf(result)).toEqual({ local: "pending", second: "complete" });
    if (readdirSync(site.directory).includes("repository.unplugged")) plugIn(site);
    const back = await site.reopen();
    await back.replicate(ALL);
    expect(objectsIn(site, LOCAL)).toEqual(objectsIn(site, "replica"));
    expect((await back.verify({ ...QUICK, reference: "latest", storage: "local" })).passed).toBe(true);
    addFile(site);
    expect((await back.create({ ...NO_CHOICES, mode: "incremental" })).backup?.mode).toBe("incremental");
  });

  it("a run without a replica fails with the primary's own reason, before it reads or writes anything", async () => {
    const site = await openSite();
    const operations = await takeAway(site);

    await expect(operations.create(NO_CHOICES)).rejects.toThrow(reason);
    expect(site.warnings).toEqual([]);
  });
});

describe("with a primary that is not mounted", () => {
  it("a dry run says where the backup would be made, and on what", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    unplug(site);

    const plan = await (await site.reopen()).planCreate({ ...NO_CHOICES, mode: "incremental" });

    expect(plan).toMatchObject({ mode: "incremental", parentId: id });
    expect(site.warnings.at(-1)).toMatch(/"local" takes no part in this run: .*; the backup is made in "second"$/);
  });

  it("the replica that has what an incremental builds on leads, wherever it stands in the config", async () => {
    const site = await openSite({ replica: true, storages: { third: "replica" } });
    await createOne(site, { storages: ["third"] });
    addFile(site);
    unplug(site);

    const result = await (await site.reopen()).create({ ...NO_CHOICES, mode: "incremental" });

    expect(result.backup?.mode).toBe("incremental");
    expect(result.warnings[0]).toContain('the backup is made in "third"');
    expect(statesOf(result)).toEqual({ local: "pending", second: "complete", third: "complete" });
    expect(objectsIn(site, "replica")).toEqual(objectsIn(site, "third"));
  });

  it("an incremental that no replica has the chain for is a full one, and says why", async () => {
    const site = await openSite({ replica: true });
    await createOne(site, { storages: ["local"] });
    addFile(site);
    unplug(site);

    const { plan, storages } = await (await site.reopen()).create({ ...NO_CHOICES, mode: "incremental" });

    expect(plan).toMatchObject({
      mode: "full",
      modeReason: expect.stringContaining("its copy in storage second is missing"),
    });
    expect(statesOf({ storages })).toEqual({ local: "pending", second: "complete" });
  });

  it("create.require of the primary makes the run fail, whose backup stays in the replica", async () => {
    const site = await openSite({ replica: true, more: "create: {require: [local]}" });
    unplug(site);
    const operations = await site.reopen();

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({
      code: "BACKUP_FAILED",
      message: expect.stringMatching(/is complete in "second", and not in "local", which create.require demands$/),
    });
    expect((await operations.list(PAGE)).backups.map(({ status }) => status)).toEqual(["completed"]);
  });

  it("a primary that is back before the run ends gets its copy in that run", async () => {
    const site = await openSite({ replica: true });
    unplug(site);
    const operations = await withStorages(site, (storage) =>
      changed(storage, {
        put: async (key, bytes, options) => {
          const stored = await storage.put(key, bytes, options);
          if (key.endsWith("metadata.json") && storage.name === "second") plugIn(site);
          return stored;
        },
      }),
    );

    const result = await operations.create(NO_CHOICES);

    expect(statesOf(result)).toEqual({ local: "complete", second: "complete" });
    expect(objectsIn(site, LOCAL)).toEqual(objectsIn(site, "replica"));
  });

  it("nothing is made where the catalog is lost either, but a backup of the repository that the replica is of", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    const { id: repositoryId } = await site.context.repository();
    unplug(site);
    const { loaded } = site.session;
    const stateDir = join(site.directory, "elsewhere");
    const operations = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, stateDir } } });

    const { backup } = await operations.create({ ...NO_CHOICES, mode: "incremental" });

    const { metadata } = await operations.show(backup?.id ?? "");
    expect(metadata).toMatchObject({ repository_id: repositoryId, parent_id: id });
  });

  it("a replica of another repository does not stand in for it, and the catalog stays", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site, { storages: ["local"] });
    writeFileSync(join(site.directory, "replica", "backupctl.json"), encodeRepositoryMarker(OTHER));
    unplug(site);

    await expect((await site.reopen()).create(NO_CHOICES)).rejects.toMatchObject({
      code: "REPOSITORY_MISMATCH",
      message: expect.stringMatching(/^storage "local" is away \(.*\), and the first storage that is there belongs to/),
    });
    expect(objectsIn(site, "replica")).toEqual([]);
    plugIn(site);
    expect((await (await site.reopen()).list(PAGE)).backups.map((backup) => backup.id)).toEqual([id]);
  });

  it("a replica of another repository is passed over, and the next one that is of this leads", async () => {
    const site = await openSite({ replica: true, storages: { third: "replica" } });
    await createOne(site);
    writeFileSync(join(site.directory, "replica", "backupctl.json"), encodeRepositoryMarker(OTHER));
    const before = objectsIn(site, "replica");
    unplug(site);

    const result = await (await site.reopen()).create({ ...NO_CHOICES, mode: "incremental" });

    expect(statesOf(result)).toEqual({ local: "pending", second: "pending", third: "complete" });
    expect(result.warnings.join("\n")).toContain(
      `storage "second" takes no part in this run: it belongs to repository ${OTHER.repositoryId}`,
    );
    expect(result.backup?.mode).toBe("incremental");
    expect(objectsIn(site, "replica")).toEqual(before);
  });

  it("an archive that is named before the replicas is not opened, of whatever repository it is", async () => {
    const site = await openSite({ storages: { vault: "archive", third: "replica" } });
    await createOne(site);
    writeFileSync(join(site.directory, "vault", "backupctl.json"), encodeRepositoryMarker(OTHER));
    unplug(site);
    const opened: string[] = [];
    const operations = await withStorages(site, (storage) => {
      opened.push(storage.name);
      return storage;
    });

    expect(statesOf(await operations.create(NO_CHOICES))).toEqual({ local: "pending", third: "complete" });
    expect(opened).not.toContain("vault");
  });

  it("nothing new since the last backup, which it lacks, is no success", async () => {
    const site = await openSite({ replica: true });
    unplug(site);
    const operations = await site.reopen();
    await operations.create(NO_CHOICES);

    const away = await operations.create({ ...NO_CHOICES, ifChanged: true });
    const { loaded } = site.session;
    const create = { ...loaded.config.create, require: ["local"] };
    const demanding = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, create } } });

    expect(away.created).toBe(false);
    expect(statesOf(away)).toEqual({ local: "pending", second: "complete" });
    expect(exitStatusOfCreate(away)).toBe(3);
    await expect(demanding.create({ ...NO_CHOICES, ifChanged: true })).rejects.toMatchObject({
      code: "BACKUP_FAILED",
      message: expect.stringMatching(/not in "local", which create.require demands$/),
    });
  });

  it("storages that were all never initialised say so, and an archive does not stand in for the primary", async () => {
    const site = await openSite({ replica: true, storages: { vault: "archive" } });
    for (const folder of [LOCAL, "replica"]) rmSync(join(site.directory, folder, "backupctl.json"));

    await expect((await site.reopen()).create(NO_CHOICES)).rejects.toMatchObject({
      code: "REPOSITORY_NOT_INITIALIZED",
      message: expect.stringContaining('"local"'),
    });
    expect(objectsIn(site, "vault")).toEqual([]);
  });
});

it("a first backup opens no archive, and says what a replica that is away means for it", async () => {
  const site = await openSite({ replica: true, storages: { vault: "archive" } });
  unplug(site, "replica");
  const opened = new Set<string>();
  const operations = await withStorages(site, (storage) => {
    opened.add(storage.name);
    return storage;
  });

  await operations.create(NO_CHOICES);

  expect([...opened]).toEqual(["local"]);
  expect(site.warnings[0]).toContain('"second" takes no part in this run');
});

it("a service that refuses this host's time ends the run, whatever replicas there are", async () => {
  const site = await openSite({ replica: true });
  const operations = await withStorages(site, (storage) => {
    if (storage.name === "local") throw new BackupctlError("CLOCK_SKEWED", "this host's clock is 20 minutes ahead");
    return storage;
  });

  await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({ code: "CLOCK_SKEWED" });
  expect(objectsIn(site, "replica")).toEqual([]);
});

it("a primary that has become another repository's is not written to while a replica is of the catalog's", async () => {
  const site = await openSite({ replica: true });
  const { id } = await createOne(site);
  unplug(site);
  mkdirSync(site.repositoryDirectory);
  writeFileSync(join(site.repositoryDirectory, "backupctl.json"), encodeRepositoryMarker(OTHER));

  await expect((await site.reopen()).create(NO_CHOICES)).rejects.toMatchObject({
    code: "REPOSITORY_MISMATCH",
    message: expect.stringContaining(`storage "local" belongs to repository ${OTHER.repositoryId} now`),
  });

  expect(objectsIn(site, LOCAL)).toEqual([]);
  plugIn(site);
  expect((await (await site.reopen()).list(PAGE)).backups.map((backup) => backup.id)).toEqual([id]);
});

it("a replica that was away gets the last backup also by a run that finds nothing new", async () => {
  const site = await openSite({ replica: true });
  unplug(site, "replica");
  expect(statesOf(await (await site.reopen()).create(NO_CHOICES))).toEqual({ local: "complete", second: "pending" });
  plugIn(site, "replica");

  const result = await (await site.reopen()).create({ ...NO_CHOICES, ifChanged: true });

  expect(result.created).toBe(false);
  expect(statesOf(result)).toEqual({ local: "complete", second: "complete" });
  expect(exitStatusOfCreate(result)).toBe(0);
  expect(objectsIn(site, "replica")).toEqual(objectsIn(site, LOCAL));
});
