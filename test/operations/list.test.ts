import { mkdirSync, rmSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openSqliteCatalog } from "../../src/catalog/sqlite/open.ts";
import { statePaths } from "../../src/operations/session.ts";
import { backupId, metadataOf } from "../domain/builders.ts";
import { createOne, openSite } from "../helpers/open-site.ts";

const PAGE = { limit: 20, offset: 0 };

describe("list", () => {
  it("shows the newest first, a page at a time, with the total", async () => {
    const site = await openSite();
    const full = await createOne(site, { tags: ["before-deploy"], description: "first" });
    const incremental = await createOne(site, { mode: "incremental" });

    const first = await site.operations.list({ limit: 1, offset: 0 });
    const second = await site.operations.list({ limit: 1, offset: 1 });

    expect(first).toMatchObject({
      total: 2,
      backups: [{ id: incremental.id, mode: "incremental", parentId: full.id }],
    });
    expect(second.backups).toMatchObject([
      {
        id: full.id,
        verified: true,
        trusted: true,
        encrypted: true,
        tags: ["before-deploy"],
        description: "first",
        components: ["files"],
      },
    ]);
  });

  it("filters by type, mode, tag, status and time", async () => {
    const site = await openSite();
    const full = await createOne(site, { tags: ["keep"] });
    await createOne(site, { mode: "incremental" });
    const ids = async (filter: object): Promise<readonly string[]> =>
      (await site.operations.list({ ...PAGE, ...filter })).backups.map(({ id }) => id);

    expect(await ids({ mode: "full" })).toEqual([full.id]);
    expect(await ids({ type: "incremental" })).toHaveLength(1);
    expect(await ids({ tag: "keep" })).toEqual([full.id]);
    expect(await ids({ component: "files" })).toHaveLength(2);
    expect(await ids({ status: "failed" })).toEqual([]);
    expect(await ids({ from: "24h" })).toHaveLength(2);
    expect(await ids({ to: "2020-01-01" })).toEqual([]);
  });

  it("says of a run that died, and of no other, that it failed", async () => {
    const site = await openSite();
    const watcher = await site.reopen();
    const seen: Promise<readonly string[]>[] = [];
    const statuses = async (status?: string): Promise<readonly string[]> =>
      (await watcher.list({ ...PAGE, status })).backups.map((backup) => backup.status);
    const onProgress = (): void => void (seen.length < 20 && seen.push(statuses()));
    const { id } = await createOne(site, { onProgress });
    const dead = backupId(7);
    (await site.context.catalog("write")).begin({
      ...{ id: dead, type: "full", mode: "full", category: "daily", timestamp: "2036-01-11T02:00:00.000Z" },
      ...{ host: "test-host", createdBy: "tester", storagePath: "full/daily/2036-01-11/full-02-00-00-00000007" },
      ...{ parentId: undefined, pid: 1234, tags: [], description: undefined },
    });

    expect((await Promise.all(seen))[0]).toEqual(["running"]);
    expect(await statuses()).toEqual(["failed", "completed"]);
    expect([await statuses("running"), await statuses("failed"), await statuses("completed")]).toEqual([
      [],
      ["failed"],
      ["completed"],
    ]);
    const failed = { status: "failed", error: { code: "INTERRUPTED" } };
    expect(await watcher.show(dead)).toMatchObject(failed);
    expect(await watcher.list({ ...PAGE, status: "failed" })).toMatchObject({ total: 1, backups: [failed] });
    expect(await watcher.show(id)).toMatchObject({ status: "completed", error: undefined });

    await createOne(site);
    expect(await watcher.show(dead)).toMatchObject(failed);
  });

  it.each([
    [{ limit: 0, offset: 0 }, "USAGE"],
    [{ limit: 20, offset: -1 }, "USAGE"],
    [{ ...PAGE, status: "perfect" }, "USAGE"],
    [{ ...PAGE, mode: "sideways" }, "USAGE"],
    [{ ...PAGE, from: "2026-02-01", to: "2026-01-01" }, "USAGE"],
    [{ ...PAGE, type: "databse" }, "INVALID_BACKUP_TYPE"],
    [{ ...PAGE, component: "flies" }, "COMPONENT_NOT_FOUND"],
  ])("refuses %j with %s", async (request, code) => {
    const site = await openSite();

    await expect(site.operations.list(request)).rejects.toMatchObject({ code });
  });

  it("does not need the storage", async () => {
    const site = await openSite();
    await createOne(site);
    rmSync(site.repositoryDirectory, { recursive: true });

    expect((await site.operations.list(PAGE)).total).toBe(1);
  });

  it("answers at once with 10,000 backups", async () => {
    const site = await openSite();
    const state = await statePaths(site.session);
    mkdirSync(state.directory, { recursive: true });
    const catalog = openSqliteCatalog({ file: state.catalog, warn: () => undefined });
    catalog.bindRepository("0b6f1c6e-58f0-4c39-9a55-3e9d2f1c8a77");
    for (let number = 1; number <= 10_000; number++) {
      catalog.restoreFromStorage({
        metadata: metadataOf({ id: backupId(number) }),
        trusted: true,
        notes: {},
        copies: [],
      });
    }
    catalog.close();
    const started = performance.now();

    const { total, backups } = await (await site.reopen()).list(PAGE);

    // The budget is 200 ms; a loaded machine gets some more.
    expect(performance.now() - started).toBeLessThan(600);
    expect([total, backups.length]).toEqual([10_000, 20]);
  }, 60_000);
});

describe("show", () => {
  it("gives all details by id, prefix and latest", async () => {
    const site = await openSite();
    const full = await createOne(site);
    const child = await createOne(site, { mode: "incremental" });

    const byPrefix = await site.operations.show(full.id.slice(0, 13));
    const latest = await site.operations.show("latest");

    expect(byPrefix).toMatchObject({
      id: full.id,
      children: [child.id],
      copies: [{ storage: "local", state: "complete" }],
      restoreCount: 0,
      metadata: { sources: [{ name: "www", counts: { files: 3 } }] },
    });
    expect(byPrefix.location).toMatch(/^local:full\//);
    expect(latest.id).toBe(child.id);
  });

  it.each([
    ["00000000", "BACKUP_NOT_FOUND"],
    ["latest", "BACKUP_NOT_FOUND"],
    ["xyz", "USAGE"],
    ["ab", "USAGE"],
  ])("refuses %s with %s", async (reference, code) => {
    const site = await openSite();

    await expect(site.operations.show(reference)).rejects.toMatchObject({
      code,
      hint: expect.stringContaining("backupctl"),
    });
  });
});
