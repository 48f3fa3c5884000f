import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BackupId } from "../../../src/domain/backup.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { exitStatusOfCleanup } from "../../../src/operations/exit-status.ts";
import type { CleanupRequest, CleanupResult, Operations } from "../../../src/operations/operations.ts";
import { objectsIn, swapRepository, withFaults } from "../../helpers/open-site.ts";
import { agedSite, DAY_MS, ROOMY } from "./aged-site.ts";

function cleanup(operations: Operations, changes: Partial<CleanupRequest> = {}): Promise<CleanupResult> {
  return operations.cleanup({ force: false, lockWaitMs: 0, ...changes });
}

async function left(operations: Operations): Promise<readonly string[]> {
  return (await operations.list({ limit: 100, offset: 0 })).backups.map(({ id }) => id);
}

async function expectSound(operations: Operations): Promise<void> {
  const request = { all: true, deep: false, quick: false, components: [] };
  expect(await operations.verify(request)).toMatchObject({ passed: true });
}

describe("cleanup", () => {
  it("removes what has expired, keeps what a kept one needs, and says why in the log", async () => {
    const { site, made } = await agedSite();
    const old = await made(60);
    const base = await made(9, { retentionDays: 2 });
    const child = await made(6, { mode: "incremental" });
    const newest = await made(1);

    const plan = await site.operations.planCleanup();
    const { storages } = await cleanup(site.operations);

    expect(plan.storages[0]?.verdicts.map(({ keep }) => keep)).toEqual([true, true, true, false]);
    expect(storages).toMatchObject([{ name: "local", removed: [old], notRemoved: [], failure: undefined }]);
    expect(storages[0]?.bytes).toBeGreaterThan(3_000_000);
    expect(await left(site.operations)).toEqual([newest, child, base]);
    expect(objectsIn(site).filter((key) => key.includes(old.slice(0, 8)))).toEqual([]);
    expect((await site.context.catalog("read")).events({ limit: 1 })[0]).toMatchObject({
      action: "backup:delete",
      backupId: old,
      detail: { storage: "local", retention: expect.stringMatching(/^daily, expired \d{4}-\d\d-\d\d$/) },
    });
    await expectSound(site.operations);
    expect((await cleanup(site.operations)).storages).toMatchObject([{ removed: [] }]);
  });

  it("removes a chain with its last, children first", async () => {
    const { site, made } = await agedSite({
      rules: "\n  max_delete: 0%",
      more: "chain: {full_every: 30d}\nretention: {daily: 60d, max_delete: 0%}",
    });
    const base = await made(90);
    const child = await made(80, { mode: "incremental" });
    const grandchild = await made(70, { mode: "incremental" });
    const newest = await made(1);

    const { storages } = await cleanup(site.operations);

    expect(storages[0]?.removed).toEqual([grandchild, child, base]);
    expect(await left(site.operations)).toEqual([newest]);
  });

  it("judges each storage by itself, and leaves a backup where one keeps it longer", async () => {
    const { site, made } = await agedSite({ replica: true, rules: `${ROOMY}\n  storages: {second: {daily: 90d}}` });
    const old = await made(60);
    const newest = await made(1);

    const { storages } = await cleanup(site.operations);

    expect(storages).toMatchObject([
      { name: "local", removed: [old] },
      { name: "second", removed: [] },
    ]);
    expect(await left(site.operations)).toEqual([newest, old]);
    expect((await site.operations.show(old)).copies.map(({ storage, state }) => [storage, state])).toEqual([
      ["second", "complete"],
    ]);
    expect(
      existsSync(join(site.directory, "replica", (await site.operations.show(old)).location.slice("second:".length))),
    ).toBe(true);
    await expectSound(site.operations);
    const inPrimary = { reference: old, all: false, deep: false, quick: false, components: [], storage: "local" };
    expect(await site.operations.verify(inPrimary)).toMatchObject({
      passed: false,
      backups: [
        {
          unseen: "pending",
          issues: [`storage "local" has no copy of backup ${old}`],
          recommendations: [expect.stringContaining("not copied there, or retention let it go. `backupctl replicate ")],
        },
      ],
    });
    expect((await site.operations.listStorages()).map(({ lag }) => lag.backups)).toEqual([0, 0]);
    const replicated = await site.operations.replicate({ to: [], dryRun: false, lockWaitMs: 0 });
    expect(replicated.storages.map(({ copied, lag }) => [copied, lag.backups])).toEqual([
      [[], 0],
      [[], 0],
    ]);
    expect((await cleanup(site.operations)).storages.map(({ removed }) => removed)).toEqual([[], []]);
  });

  it("is refused, and its plan alike, where the primary holds another repository than the catalog and a replica", async () => {
    const { site, made } = await agedSite({ replica: true });
    await made(60);
    const newest = await made(1);
    swapRepository(site.repositoryDirectory);
    const refusal = { code: "REPOSITORY_MISMATCH", message: expect.stringContaining('as storage "second" is') };

    const operations = await site.reopen();

    await expect(operations.planCleanup()).rejects.toMatchObject(refusal);
    await expect(cleanup(operations)).rejects.toMatchObject(refusal);
    expect((await (await site.reopen()).show("latest")).id).toBe(newest);
  });

  it("can be what a schedule runs", async () => {
    const more = 'retention: {max_delete: 100%}\nschedules: {tidy: {operation: cleanup, every: day, at: "05:00"}}';
    const { site, made } = await agedSite({ more });
    const old = await made(60);
    const newest = await made(1);

    const run = await site.operations.runSchedule({ name: "tidy", ifDue: false });

    expect(run).toMatchObject({ exitCode: 0, summary: expect.stringMatching(/^1 copy removed, \d.* freed$/) });
    expect(await left(site.operations)).toEqual([newest]);
    expect(old).not.toBe(newest);
  });

  it("leaves a storage that is away for the next time", async () => {
    const { site, made } = await agedSite({ replica: true });
    const old = await made(60);
    const newest = await made(1);
    const folder = join(site.directory, "replica");
    renameSync(folder, `${folder}-away`);

    const before = site.warnings.length;
    const first = await cleanup(await site.reopen());
    // The result says it.
    const warned = site.warnings.slice(before);
    renameSync(`${folder}-away`, folder);
    const second = await cleanup(await site.reopen());

    expect(warned).toEqual([]);
    expect(first.storages).toMatchObject([
      { name: "local", removed: [old] },
      { name: "second", removed: [], failure: { code: "STORAGE_NOT_FOUND" } },
    ]);
    expect(second.storages).toMatchObject([{ removed: [] }, { removed: [old] }]);
    expect(await left(site.operations)).toEqual([newest]);
  });

  it("removes nothing because of a backup that only the catalog has still", async () => {
    const { site, made } = await agedSite();
    const old = await made(60);
    const newest = await made(1);
    rmSync(await site.backupDirectory(), { recursive: true });

    expect((await cleanup(site.operations)).storages).toMatchObject([{ removed: [] }]);
    expect(await left(site.operations)).toEqual([newest, old]);
  });

  it("keeps what another host put on hold while it was at work, and the rest goes", async () => {
    const { site, made } = await agedSite();
    const [held, gone] = [await made(60), await made(59)];
    await made(1);
    const { loaded } = site.session;
    const other = await site.reopen({
      loaded: { ...loaded, config: { ...loaded.config, stateDir: join(site.directory, "other") } },
    });
    await left(other);
    let once = true;
    const operations = await withFaults(site, (storage) => {
      storage.onKey("put", /deleted\.json$/).meanwhile(async () => {
        const first = once;
        once = false;
        // Where the mark was there first, the hold says so, and keeps it all the same.
        if (first) await other.hold(held, "audit").catch(() => undefined);
      });
    });

    const { storages } = await cleanup(operations);

    expect(storages[0]?.removed).toEqual([gone]);
    expect(storages[0]?.notRemoved).toMatchObject([
      { backupId: held, error: { code: "RETENTION_POLICY_VIOLATION", message: expect.stringContaining("audit") } },
    ]);
    expect(objectsIn(site).filter((key) => key.endsWith("deleted.json"))).toEqual([]);
    expect(await operations.show(held)).toMatchObject({ status: "completed" });
    await expectSound(operations);
  });

  it("keeps what another host's backup builds on that appeared meanwhile, and the rest goes", async () => {
    const { site, made } = await agedSite();
    const needed = await made(60);
    const child = await made(58, { mode: "incremental" });
    const [unknown, gone] = [await made(56), await made(54)];
    await made(1);
    const catalog = await site.context.catalog("write");
    // Another host made them: this catalog has not heard of them.
    for (const id of [child, unknown]) catalog.remove(id as BackupId);

    const { storages } = await cleanup(site.operations);

    expect(storages[0]?.removed).toEqual([gone]);
    expect(storages[0]?.notRemoved).toMatchObject([
      { backupId: needed, error: { code: "RETENTION_POLICY_VIOLATION", message: expect.stringContaining(child) } },
    ]);
    expect(await site.operations.show(needed)).toMatchObject({ status: "completed" });
    expect(objectsIn(site).filter((key) => key.endsWith("deleted.json"))).toEqual([]);
  });

  it("leaves all that should go where the login may not delete, marks none of it, and says so", async () => {
    const { site, made } = await agedSite({ replica: true });
    const old = await made(60);
    const older = await made(59);
    await made(1);
    const denied = new BackupctlError("STORAGE_DENIED", 'storage "second" cannot remove it: AccessDenied');
    const operations = await withFaults(site, (storage) => {
      if (storage.name === "second") storage.onCall("remove", "every").fail(denied);
    });

    const result = await cleanup(operations);

    expect(exitStatusOfCleanup(result)).toBe(3);
    const error = {
      code: "STORAGE_DENIED",
      message:
        '2 backups that should go stay: this login may not delete in storage "second": it cannot remove it: AccessDenied',
    };
    expect(result.storages).toMatchObject([
      { name: "local", removed: [older, old], notRemoved: [] },
      {
        name: "second",
        removed: [],
        notRemoved: [
          { backupId: older, error },
          { backupId: old, error },
        ],
      },
    ]);
    const replica = readdirSync(join(site.directory, "replica"), { recursive: true, encoding: "utf8" });
    expect(replica.filter((name) => name.endsWith("deleted.json"))).toEqual([]);
    expect((await site.operations.show(old)).copies).toMatchObject([{ storage: "second", state: "complete" }]);
    expect((await cleanup(site.operations)).storages[1]?.removed).toEqual([older, old]);
  });

  it("keeps what a locked one builds on", async () => {
    const { site, made } = await agedSite();
    const base = await made(60);
    const child = await made(58, { mode: "incremental" });
    await made(1);
    const path = (await site.operations.show(child)).location.split(":")[1] ?? "";
    const operations = await withFaults(site, (storage) => {
      const error = new BackupctlError("RETENTION_POLICY_VIOLATION", "it is locked until 2030-01-01");
      storage.onKey("remove", new RegExp(`${path}/metadata\\.json$`)).fail(error);
    });

    const { storages } = await cleanup(operations);

    expect(storages).toMatchObject([
      {
        removed: [],
        notRemoved: [
          { backupId: child },
          { backupId: base, error: { message: expect.stringMatching(/is needed by .*, which could not be removed$/) } },
        ],
      },
    ]);
    await expectSound(operations);
  });

  it("goes on with the others where one is locked", async () => {
    const { site, made } = await agedSite();
    const [locked, gone] = [await made(60), await made(59)];
    await made(1);
    const path = (await site.operations.show(locked)).location.split(":")[1] ?? "";
    const operations = await withFaults(site, (storage) => {
      const error = new BackupctlError("RETENTION_POLICY_VIOLATION", "it is locked until 2030-01-01");
      storage.onKey("remove", new RegExp(`${path}/metadata\\.json$`)).fail(error);
    });

    const { storages } = await cleanup(operations);

    expect(storages).toMatchObject([
      { removed: [gone], notRemoved: [{ backupId: locked, error: { message: "it is locked until 2030-01-01" } }] },
    ]);
    expect(await operations.show(locked)).toMatchObject({ status: "completed" });
    expect(objectsIn(site).filter((key) => key.endsWith("deleted.json"))).toEqual([]);
  });

  it.each([
    ["the marks are there", /deleted\.json$/, "failAfterVisible", "put"],
    ["metadata.json is gone", /metadata\.json$/, "failAfterVisible", "remove"],
    ["some objects are gone", /SHA256SUMS$/, "fail", "remove"],
  ] as const)("goes on where it ended when %s", async (_, key, fault, operation) => {
    const { site, made } = await agedSite({ replica: true, rules: `${ROOMY}\n  storages: {second: {daily: 90d}}` });
    const ancient = await made(120);
    const old = await made(60);
    const newest = await made(1);
    const broken = await withFaults(site, (storage) => {
      storage.onKey(operation, key)[fault](new Error("killed"));
    });
    await expect(cleanup(broken)).rejects.toThrow("killed");

    const again = await site.reopen();
    await cleanup(again);

    expect(await left(again)).toEqual([newest, old]);
    expect(objectsIn(site).filter((each) => [ancient, old].some((id) => each.includes(id.slice(0, 8))))).toEqual([]);
    await expectSound(again);
  });
});

describe("the brakes", () => {
  it("refuse a cleanup of too much, unless it is forced with a reason", async () => {
    const { site, made } = await agedSite({ rules: "\n  max_delete: 30%" });
    const old = [await made(60), await made(59)];
    const newest = await made(1);

    await expect(cleanup(site.operations)).rejects.toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
      message: 'nothing was removed: 2 of 3 backups in storage "local" would go, 67 %, and max_delete is 30 %',
    });
    await expect(cleanup(site.operations, { force: true, reason: " " })).rejects.toMatchObject({ code: "USAGE" });
    expect(await left(site.operations)).toHaveLength(3);
    const { storages } = await cleanup(site.operations, { force: true, reason: "less space" });

    expect(storages[0]?.removed.toSorted()).toEqual(old.toSorted());
    expect(await left(site.operations)).toEqual([newest]);
    expect((await site.context.catalog("read")).events({ limit: 1 })[0]?.detail).toMatchObject({
      forced: "less space",
    });
  });

  it("say to a monitor of schedules that a refused cleanup does not mend itself, and what does", async () => {
    const more = 'retention: {max_delete: 30%}\nschedules: {tidy: {operation: cleanup, every: day, at: "05:00"}}';
    const { site, made } = await agedSite({ more });
    await made(60);
    await made(59);
    await made(1);

    await expect(site.operations.runSchedule({ name: "tidy", ifDue: false })).rejects.toMatchObject({ exitCode: 14 });

    const [tidy] = await site.operations.listSchedules();
    expect(tidy?.last?.status).toBe("failed");
    expect(tidy?.last?.summary).toMatch(
      /^nothing was removed: 2 of 3 .* max_delete is 30 %\. No later cleanup .* --force --reason .* retention\.max_delete\.$/,
    );
  });

  it("refuse where a backup is from the future", async () => {
    const { site, made } = await agedSite();
    await made(60);
    await made(1);
    const early = await site.reopen({
      clock: { now: () => new Date(Date.now() - 2 * DAY_MS), monotonicMs: () => performance.now() },
    });

    await expect(cleanup(early)).rejects.toMatchObject({ code: "CLOCK_SKEWED" });
  });

  it("remove nothing where this host's clock is not the storage's", async () => {
    const { site, made } = await agedSite();
    await made(60);
    await made(1);
    const late = await site.reopen({
      clock: { now: () => new Date(Date.now() + 2 * DAY_MS), monotonicMs: () => performance.now() },
    });

    expect((await cleanup(late)).storages).toMatchObject([{ removed: [], failure: { code: "CLOCK_SKEWED" } }]);
    expect(await left(site.operations)).toHaveLength(2);
    expect(await site.operations.show("latest")).toMatchObject({ status: "completed" });
  });
});
