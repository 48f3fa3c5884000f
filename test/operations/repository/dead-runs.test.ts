import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import type { OperationOptions } from "../../../src/storage/storage.ts";
import { addFile, createOne, type OpenSite, openSite, withFaults, withStorages } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

const away = new BackupctlError("STORAGE_FAILED", "the line is cut");

/** As a kill between the last put and the catalog leaves it. Gives the backup's directory. */
async function forget(site: OpenSite, id: string): Promise<string> {
  const { metadata } = await site.operations.show(id);
  if (metadata === undefined) throw new Error("it has no metadata");
  const { type, mode, category, timestamp, host, created_by, storage_path, parent_id } = metadata;
  const catalog = await site.context.catalog("write");
  catalog.remove(metadata.id);
  catalog.begin({
    ...{ id: metadata.id, type, mode, category, timestamp, host, createdBy: created_by, storagePath: storage_path },
    ...{ parentId: parent_id ?? undefined, pid: 1, tags: [], description: undefined },
  });
  return storage_path;
}

it("a killed run that was complete becomes a backup, where all that it builds on is there", async () => {
  const site = await openSite();
  await createOne(site);
  addFile(site);
  const { id } = await createOne(site, { mode: "incremental" });
  await forget(site, id);

  await createOne(site);

  expect((await site.operations.show(id)).status).toBe("completed");
});

it("what a killed run was writing for status goes with the next one", async () => {
  const site = await openSite();
  const { directory } = (await site.context.repository()).state;
  const left = join(directory, ".progress.json.0123456789ab");
  writeFileSync(left, "{");

  await createOne(site);

  expect(existsSync(left)).toBe(false);
});

it("a killed run that was complete becomes a backup also while a replica fails", async () => {
  const site = await openSite({ replica: true });
  await createOne(site);
  const first = (await site.backupDirectory()).slice(site.repositoryDirectory.length + 1);
  addFile(site);
  const { id } = await createOne(site, { mode: "incremental" });
  await forget(site, id);
  const operations = await withFaults(site, (storage) => {
    if (storage.name === "second") storage.onKey("stat", new RegExp(first)).fail(away);
  });

  const next = await operations.create(NO_CHOICES);

  expect(next.backup?.status).toBe("completed");
  expect(await site.operations.show(id)).toMatchObject({
    status: "completed",
    copies: [
      { storage: "local", state: "complete" },
      { storage: "second", state: "pending" },
    ],
  });
});

it.each([
  ["was deleted meanwhile", (directory: string) => rmSync(directory, { recursive: true })],
  ["is being deleted", (directory: string) => writeFileSync(join(directory, "deleted.json"), "{}")],
])("a killed run that was complete is removed where what it builds on %s", async (_, remove) => {
  const site = await openSite({ replica: true });
  await createOne(site);
  const first = await site.backupDirectory();
  addFile(site);
  const { id } = await createOne(site, { mode: "incremental" });
  const directory = await forget(site, id);
  remove(first);

  const next = await createOne(site);

  expect((await site.operations.show(id)).status).toBe("failed");
  for (const storage of ["repository", "replica"]) {
    expect(existsSync(join(site.directory, storage, directory))).toBe(false);
  }
  expect(next.mode).toBe("full");
  expect(readdirSync(await site.backupDirectory())).toContain("metadata.json");
  expect(site.warnings.join("\n")).toMatch(/which the dead run .* builds on, was deleted meanwhile/);
});

it.each([
  ["is damaged", (text: string) => text.slice(1)],
  ["is not authentic", (text: string) => text.replace(/"host": "[^"]*"/, '"host": "other"')],
])("a killed run whose metadata.json %s keeps neither create nor delete from going on", async (_, spoil) => {
  const site = await openSite();
  const first = await createOne(site);
  addFile(site);
  const { id } = await createOne(site);
  const directory = join(site.repositoryDirectory, await forget(site, id));
  const file = join(directory, "metadata.json");
  writeFileSync(file, spoil(readFileSync(file, "utf8")));

  const { warnings } = await site.create();

  expect(warnings.join("\n")).toMatch(new RegExp(`backup ${id} is passed over, .*metadata\\.json`));
  expect((await site.operations.list({ limit: 9, offset: 0 })).backups.map(({ status }) => status)).toEqual([
    "completed",
    "unreadable",
    "completed",
  ]);
  for (const reference of [first.id, id]) {
    const request = { reference, withDescendants: false, force: true, reason: "test", lockWaitMs: 0 };
    await site.operations.delete(request, await site.operations.planDelete(request));
  }
  expect(existsSync(directory)).toBe(false);
});

it("a killed run whose metadata.json is damaged in the primary becomes a backup by the replica's", async () => {
  const site = await openSite({ replica: true });
  const { id } = await createOne(site);
  const file = join(site.repositoryDirectory, await forget(site, id), "metadata.json");
  writeFileSync(file, readFileSync(file, "utf8").slice(1));

  await createOne(site);

  expect((await site.operations.show(id)).status).toBe("completed");
});

it("what a killed run left in a replica that tries again for long holds up no run", async () => {
  const site = await openSite({ replica: true });
  const { id } = await createOne(site);
  const directory = await forget(site, id);
  for (const storage of ["repository", "replica"]) rmSync(join(site.directory, storage, directory, "metadata.json"));
  let outage = true;
  const whileAway = async (options?: OperationOptions): Promise<void> => {
    while (outage) {
      options?.onRetry?.({ error: away, waitMs: 60_000 });
      options?.signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const operations = await withStorages(site, (storage) => {
    if (storage.name !== "second") return storage;
    return changed(storage, {
      put: (key, bytes, options) => whileAway(options).then(() => storage.put(key, bytes, options)),
      stat: (key, options) => whileAway(options).then(() => storage.stat(key, options)),
      remove: (key, options) => whileAway(options).then(() => storage.remove(key, options)),
    });
  });

  const making = operations.create(NO_CHOICES);
  await expect.poll(() => site.warnings.join("\n"), { timeout: 10_000 }).toContain("takes no part in this run");
  outage = false;

  expect((await making).storages.map(({ state }) => state)).toEqual(["complete", "complete"]);
  expect(existsSync(join(site.repositoryDirectory, directory))).toBe(false);
  expect(site.warnings.join("\n")).toContain(`a part of the failed run ${id} lies in storage "second" still`);
  await site.create();
  expect(existsSync(join(site.directory, "replica", directory))).toBe(false);
});

describe("with a primary that is away", () => {
  const unplug = (site: OpenSite) => renameSync(site.repositoryDirectory, `${site.repositoryDirectory}.unplugged`);
  const plugIn = (site: OpenSite) => renameSync(`${site.repositoryDirectory}.unplugged`, site.repositoryDirectory);
  const copiesOf = async (site: OpenSite, id: string) => {
    const { status, copies } = await site.operations.show(id);
    return [status, ...copies.map(({ storage, state }) => `${storage} ${state}`).sort()];
  };

  it("what a killed run left there goes when it is back, and at once from the replica", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    const directory = await forget(site, id);
    const [inPrimary, inReplica] = ["repository", "replica"].map((storage) => join(site.directory, storage, directory));
    for (const copy of [inPrimary, inReplica]) rmSync(join(copy ?? "", "metadata.json"));
    unplug(site);

    await (await site.reopen()).create(NO_CHOICES);
    expect(await copiesOf(site, id)).toEqual(["failed", "local damaged", "second missing"]);
    expect(existsSync(inReplica ?? "")).toBe(false);
    expect(site.warnings.join("\n")).toMatch(/an earlier run \(\S+, process 1\) died$/m);
    plugIn(site);
    expect(existsSync(inPrimary ?? "")).toBe(true);
    await (await site.reopen()).create(NO_CHOICES);

    expect(existsSync(inPrimary ?? "")).toBe(false);
    expect(await copiesOf(site, id)).toEqual(["failed", "local missing", "second missing"]);
    expect((await site.operations.show(id)).damagedIn).toEqual([]);
  });

  it("a killed run that is whole there only becomes a backup when it is back", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site, { storages: ["local"] });
    await forget(site, id);
    unplug(site);

    await (await site.reopen()).create(NO_CHOICES);
    const meanwhile = await copiesOf(site, id);
    plugIn(site);
    await (await site.reopen()).create(NO_CHOICES);

    expect(meanwhile).toEqual(["failed", "local damaged", "second missing"]);
    expect(await copiesOf(site, id)).toEqual(["completed", "local complete", "second pending"]);
  });

  it("a killed run that is whole in a replica as well becomes a backup at once", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    addFile(site);
    const { id } = await createOne(site, { mode: "incremental" });
    await forget(site, id);
    unplug(site);

    const { backup } = await (await site.reopen()).create({ ...NO_CHOICES, mode: "incremental" });

    expect(await copiesOf(site, id)).toEqual(["completed", "local pending", "second complete"]);
    expect(backup?.parentId).toBe(id);
  });
});
