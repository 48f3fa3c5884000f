import { cpSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createOne, openSite } from "../../helpers/open-site.ts";

describe("storage list", () => {
  it("says how much lies in each, by type, and how much is free", async () => {
    const site = await openSite({ replica: true });
    const full = await createOne(site);
    const files = await createOne(site, { type: "files" });

    const storages = await site.operations.listStorages();

    const bytes = { full: full.storedBytes, files: files.storedBytes };
    expect(storages).toMatchObject([
      { name: "local", role: "primary", copies: { complete: 2, damaged: 0 }, bytesByType: bytes },
      { name: "second", role: "replica", copies: { complete: 2, damaged: 0 }, bytesByType: bytes },
    ]);
    for (const { space, problem, storedBytes } of storages) {
      expect(space.freeBytes).toBeGreaterThan(0);
      expect(storedBytes).toBe((full.storedBytes ?? 0) + (files.storedBytes ?? 0));
      expect(problem).toBeUndefined();
    }
  });

  it("lists a storage that is away, with the reason and what should lie there", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    renameSync(join(site.directory, "replica"), join(site.directory, "unmounted"));

    const [main, second] = await site.operations.listStorages();

    expect(main?.problem).toBeUndefined();
    expect(second).toMatchObject({ copies: { complete: 1 }, problem: { code: "STORAGE_NOT_FOUND" }, space: {} });
  });

  it("says that a storage has lost its repository, or has another one's", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    const marker = join(site.directory, "replica", "backupctl.json");
    const problemOfSecond = async () => (await site.operations.listStorages())[1];
    rmSync(join(site.directory, "replica"), { recursive: true });
    mkdirSync(join(site.directory, "replica"));

    const empty = await problemOfSecond();
    cpSync(join((await openSite()).repositoryDirectory, "backupctl.json"), marker);
    const foreign = await problemOfSecond();

    expect(empty).toMatchObject({ problem: { code: "REPOSITORY_NOT_INITIALIZED" } });
    expect(empty?.space.freeBytes).toBeGreaterThan(0);
    expect(foreign).toMatchObject({ problem: { code: "REPOSITORY_MISMATCH" } });
  });

  it("says what is still to be copied to a replica, and nothing of the kind of an archive", async () => {
    const site = await openSite({ replica: true, storages: { vault: "archive" } });
    const both = await createOne(site);
    const only = await createOne(site, { storages: ["local"] });

    const [local, second, vault] = await site.operations.listStorages();

    expect(local).toMatchObject({ copies: { complete: 2 }, lag: { backups: 0, oldest: undefined } });
    expect(second).toMatchObject({
      copies: { complete: 1 },
      lag: { backups: 1, bytes: only.storedBytes, oldest: only.timestamp },
      bytesByType: { full: both.storedBytes },
    });
    expect(vault).toMatchObject({ copies: { complete: 0 }, lag: { backups: 0, bytes: 0, oldest: undefined } });
  });

  it("asks the places where there is no catalog, and none to make it from", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    renameSync(site.repositoryDirectory, `${site.repositoryDirectory}-unmounted`);
    rmSync(join(site.directory, "replica"), { recursive: true });
    rmSync(join(site.directory, "state"), { recursive: true });

    const storages = await (await site.reopen()).listStorages();

    expect(storages).toMatchObject([
      { name: "local", copies: { complete: 0 }, problem: { code: "STORAGE_NOT_FOUND" } },
      { name: "second", copies: { complete: 0 }, problem: { code: "STORAGE_NOT_FOUND" } },
    ]);
  });

  it("works while the primary is away", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    renameSync(site.repositoryDirectory, `${site.repositoryDirectory}-unmounted`);

    const [main, second] = await (await site.reopen()).listStorages();

    expect(main).toMatchObject({ copies: { complete: 1 }, problem: { code: "STORAGE_NOT_FOUND" } });
    expect(second?.problem).toBeUndefined();
  });
});
