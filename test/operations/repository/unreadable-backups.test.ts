import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Operations } from "../../../src/operations/operations.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { systemClock } from "../../../src/platform/clock.ts";
import { addFile, createOne, type OpenSite, openSite, withStorages } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { NOTHING_ASKED } from "../restore/tools.ts";

const PAGE = { limit: 20, offset: 0 };
const ALL = { all: true, deep: false, quick: false, components: [] };

type Spoil = (directory: string) => void;

const SPOILT: readonly (readonly [string, Spoil])[] = [
  ["is not JSON", (directory) => writeFileSync(join(directory, "metadata.json"), "{")],
  ["has a wrong mac", (directory) => edit(join(directory, "metadata.json"), /"host": "[^"]*"/, '"host": "other"')],
  ["is too large", (directory) => truncateSync(join(directory, "metadata.json"), 64 * 2 ** 20 + 1)],
  ["is missing", (directory) => rmSync(join(directory, "metadata.json"))],
];

/** The place of a backup says its second, and no more: two of one second have no order. */
let ahead = 0;
const clock = { ...systemClock, now: () => new Date(Date.now() + ahead) };

function edit(file: string, pattern: RegExp, by: string): void {
  writeFileSync(file, readFileSync(file, "utf8").replace(pattern, by));
}

/** The newest of two backups is spoilt, and no catalog knows of it from before. */
async function spoilNewest(spoil: Spoil) {
  const site = await openSite({ clock });
  ahead = -60_000;
  const good = await createOne(site);
  ahead = 0;
  addFile(site);
  const bad = await createOne(site);
  const directory = await site.backupDirectory();
  spoil(directory);
  return { site, good, bad, directory, operations: await withoutCatalog(site) };
}

async function withoutCatalog(site: OpenSite): Promise<Operations> {
  const { catalog } = await statePaths(site.session);
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${catalog}${suffix}`, { force: true });
  return site.reopen();
}

function restoreTo(site: OpenSite, operations: Operations, reference: string) {
  return operations.planRestore({ ...NOTHING_ASKED, reference, to: join(site.directory, "to") });
}

describe.each(SPOILT)("a backup whose metadata.json %s, of which no catalog knows more,", (_, spoil) => {
  it("is listed as unreadable, under its own id, and no verification of all passes it over", async () => {
    const { site, bad, operations } = await spoilNewest(spoil);

    const { backups } = await operations.list(PAGE);
    const verified = await operations.verify(ALL);

    expect(backups).toMatchObject([
      { id: bad.id, status: "unreadable", type: "full", mode: "full", category: bad.category, damagedIn: ["local"] },
      { status: "completed" },
    ]);
    expect(backups[0]?.timestamp.slice(0, 19)).toBe(bad.timestamp.slice(0, 19));
    expect(verified.passed).toBe(false);
    expect(verified.backups.map(({ passed }) => passed)).toEqual([true, false]);
    expect(verified.backups[1]?.issues.join()).toContain("metadata.json");
    expect(site.warnings.join("\n")).toContain("metadata.json");
  });

  it("is BACKUP_CORRUPTED where it is named, and passed over with a warning where it is not", async () => {
    const { site, good, bad, operations } = await spoilNewest(spoil);

    for (const reference of [bad.id, bad.id.slice(0, 8)]) {
      await expect(operations.show(reference)).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
      await expect(restoreTo(site, operations, reference)).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
      await expect(operations.hold(reference, "audit")).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
    }
    for (let time = 0; time < 2; time++) {
      const plan = await restoreTo(site, operations, "latest");
      expect(plan.backup.id).toBe(good.id);
      expect(plan.warnings.join("\n")).toMatch(new RegExp(`backup ${bad.id} is passed over, .*metadata\\.json`));
      const made = await operations.create({ ...NO_CHOICES, mode: "incremental" });
      expect(made.warnings.join("\n")).toContain(`backup ${bad.id} is passed over`);
      expect(made.backup?.mode).toBe("incremental");
      const request = { ...DELETE, reference: made.backup?.id ?? "" };
      await operations.delete(request, await operations.planDelete(request));
    }
  });

  it("can be deleted, and nothing of it is left", async () => {
    const { bad, directory, operations } = await spoilNewest(spoil);
    const request = { ...DELETE, force: false, reference: bad.id };

    await operations.delete(request, await operations.planDelete(request));

    expect(existsSync(directory)).toBe(false);
    expect((await operations.list(PAGE)).backups.map(({ status }) => status)).toEqual(["completed"]);
    expect((await operations.verify(ALL)).passed).toBe(true);
  });
});

const DELETE = { withDescendants: false, force: true, reason: "test", lockWaitMs: 0 };

it("a backup that became readable again is one at the next verification, and at the next backup", async () => {
  const { bad, directory, operations } = await spoilNewest(() => undefined);
  const metadata = readFileSync(join(directory, "metadata.json"));
  for (const next of [() => operations.verify(ALL), () => operations.create(NO_CHOICES)]) {
    writeFileSync(join(directory, "metadata.json"), "");
    await operations.rebuildCatalog();
    writeFileSync(join(directory, "metadata.json"), metadata);

    await next();

    expect(await operations.show(bad.id)).toMatchObject({ status: "completed", trusted: true });
  }
});

it("one that was removed by hand is gone at the next verification", async () => {
  const { directory, operations } = await spoilNewest((at) => rmSync(join(at, "metadata.json")));
  expect((await operations.list(PAGE)).total).toBe(2);
  rmSync(directory, { recursive: true });

  expect((await operations.verify(ALL)).passed).toBe(true);

  expect((await operations.list(PAGE)).total).toBe(1);
});

it("one that others are built on is not deleted without them", async () => {
  const site = await openSite({ keyless: true });
  const full = await createOne(site);
  const directory = await site.backupDirectory();
  addFile(site);
  await createOne(site, { mode: "incremental" });
  writeFileSync(join(directory, "metadata.json"), "");
  const operations = await withoutCatalog(site);
  const request = { ...DELETE, reference: full.id };

  await expect(operations.delete(request, await operations.planDelete(request))).rejects.toMatchObject({
    code: "RETENTION_POLICY_VIOLATION",
    message: expect.stringContaining("is needed by"),
  });
});

it("one that is on hold stays on hold", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  await site.operations.hold(id, "audit");
  writeFileSync(join(await site.backupDirectory(), "metadata.json"), "");
  const operations = await withoutCatalog(site);
  const request = { ...DELETE, force: false, reference: id };

  await expect(operations.delete(request, await operations.planDelete(request))).rejects.toMatchObject({
    code: "RETENTION_POLICY_VIOLATION",
    message: expect.stringContaining("audit"),
  });
});

it("one of a newer release is named as such, and goes by force only", async () => {
  const { bad, operations } = await spoilNewest((at) =>
    edit(join(at, "metadata.json"), /"version": 1/, '"version": 2'),
  );
  const request = { ...DELETE, reference: bad.id };

  await expect(operations.show(bad.id)).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
  await expect(operations.planDelete({ ...request, force: false })).rejects.toMatchObject({
    code: "UNSUPPORTED_FORMAT",
  });
  await operations.delete(request, await operations.planDelete(request));

  expect((await operations.list(PAGE)).total).toBe(1);
});

it("a backup without keys and notes is found by its whole id all the same", async () => {
  const site = await openSite({ keyless: true });
  const { id } = await createOne(site);
  writeFileSync(join(await site.backupDirectory(), "metadata.json"), "");

  const operations = await withoutCatalog(site);

  await expect(operations.show(id)).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
});

describe("where the catalog knew the backup,", () => {
  it("packs that are left of it alone are damage for list and verify --all, even after a rebuild", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    const directory = await site.backupDirectory();
    for (const name of readdirSync(directory))
      if (name.endsWith(".json") || name === "SHA256SUMS") rmSync(join(directory, name));

    const { damaged } = await site.operations.rebuildCatalog();

    expect(damaged.join()).toContain("metadata.json is missing");
    expect((await site.operations.list(PAGE)).backups).toMatchObject([{ id, damagedIn: ["local"] }]);
    const { backups } = await site.operations.verify(ALL);
    expect(backups).toMatchObject([{ backupId: id, passed: false }]);
    expect(backups[0]?.issues.join()).toContain("metadata.json is missing");
  });

  it("metadata that somebody changed do not take the place of what it knew", async () => {
    const site = await openSite();
    const { id, host } = await createOne(site);
    edit(join(await site.backupDirectory(), "metadata.json"), /"host": "[^"]*"/, '"host": "other"');

    await site.operations.rebuildCatalog();

    expect(await site.operations.show(id)).toMatchObject({ host, damagedIn: ["local"] });
    await expect(restoreTo(site, site.operations, "latest")).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
  });

  it("a damaged copy is damaged, though another one is whole", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    writeFileSync(join(await site.backupDirectory(), "metadata.json"), "");

    await site.operations.rebuildCatalog();

    const { copies } = await site.operations.show(id);
    expect(copies).toMatchObject([
      { storage: "local", state: "damaged" },
      { storage: "second", state: "complete" },
    ]);
  });
});

it("another look at one opens no archive, but for one that has it", async () => {
  const site = await openSite({ storages: { vault: "archive", drawer: "archive" } });
  await createOne(site);
  const directory = await site.backupDirectory();
  cpSync(directory, directory.replace(site.repositoryDirectory, join(site.directory, "vault")), { recursive: true });
  for (const folder of ["repository", "vault"])
    writeFileSync(join(directory.replace(site.repositoryDirectory, join(site.directory, folder)), "metadata.json"), "");
  const made = await withoutCatalog(site);
  await made.list(PAGE);
  await made.close();
  const opened: string[] = [];
  const operations = await withStorages(site, (storage) => {
    opened.push(storage.name);
    return storage;
  });

  expect((await operations.create(NO_CHOICES)).warnings.join("\n")).toContain("is passed over");

  expect([...new Set(opened)].sort()).toEqual(["local", "vault"]);
});
