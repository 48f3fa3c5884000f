import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { acquireLock } from "../../../src/platform/lock.ts";
import type { StorageDefinition } from "../../../src/storage/storage.ts";
import { addFile, type OpenSite, openSite, withEngine } from "../../helpers/open-site.ts";

const SCHEDULES = `
schedules:
  nightly: {cron: "0 2 * * *", retention_days: 30, tags: [night]}
  often: {every: 15m, mode: incremental, full_every: 1d}
  check: {frequency: weekly, time: "04:00", operation: verify, backups: all}
  copies: {every: hour, operation: replicate}
  off: {every: day, at: "05:00", enabled: false}
`;

/** A site whose clock a test sets, first seen on the 10th at noon. */
async function scheduledSite(more: { signal?: AbortSignal; more?: string } = {}) {
  let now = new Date("2026-01-10T12:00:00Z");
  const clock = { now: () => now, monotonicMs: () => performance.now() };
  const site = await openSite({ more: SCHEDULES, replica: true, clock, ...more });
  await site.operations.listSchedules();
  const at = (text: string): void => {
    now = new Date(`2026-01-${text.replace(" ", "T")}Z`);
  };
  return { site, at };
}

async function listed(operations: Operations, name: string) {
  const found = (await operations.listSchedules()).find((schedule) => schedule.name === name);
  if (found === undefined) throw new Error(`no schedule ${name}`);
  return found;
}

/** Its address is known, but it can't be opened. */
function awayStorage({ session }: OpenSite): StorageDefinition {
  const { local } = session.adapters.storages;
  if (local === undefined) throw new Error("no local storage");
  return {
    ...local,
    open: async () => {
      throw new BackupctlError("STORAGE_FAILED", "the disk is away");
    },
  };
}

function backupsOf({ context }: OpenSite) {
  return context.catalog("read").then((catalog) => catalog.list({ order: "oldest" }).backups);
}

describe("a schedule's run", () => {
  test("makes the backup that the schedule says, records it, and is not due again until the next time", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:03");

    const result = await site.operations.runSchedule({ name: "nightly", ifDue: true });

    expect(result).toMatchObject({ ran: true, exitCode: 0, problems: [], next: "2026-01-12T02:00:00.000Z" });
    const [backup] = await backupsOf(site);
    expect(backup).toMatchObject({ status: "completed", mode: "full", tags: ["night"] });
    expect(backup?.metadata?.retention_until).toMatch(/^2026-02-10/);
    expect(await listed(site.operations, "nightly")).toMatchObject({
      last: { status: "completed", scheduledFor: "2026-01-11T02:00:00.000Z", summary: result.summary },
      counts: { total: 1, completed: 1, failed: 0 },
      missed: undefined,
      next: "2026-01-12T02:00:00.000Z",
    });
    expect(await site.operations.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({
      ...{ ran: false, exitCode: 0, summary: "it is not due" },
    });
    expect(await backupsOf(site)).toHaveLength(1);
  });

  test("may be asked for at once from several places, and is made once", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    const programs = await Promise.all([site.reopen(), site.reopen(), site.reopen()]);

    const results = await Promise.all(programs.map((one) => one.runSchedule({ name: "nightly", ifDue: true })));

    expect(results.filter(({ ran }) => ran)).toHaveLength(1);
    expect(await backupsOf(site)).toHaveLength(1);
  });

  test("makes up for all that was missed, once, and is known to be missed until then", async () => {
    const { site, at } = await scheduledSite();
    at("14 09:00:00");
    expect(await listed(site.operations, "nightly")).toMatchObject({
      missed: { count: 4, first: "2026-01-11T02:00:00.000Z", last: "2026-01-14T02:00:00.000Z" },
      last: undefined,
    });

    expect(await site.operations.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: true });

    expect(await listed(site.operations, "nightly")).toMatchObject({ missed: undefined });
    expect(await site.operations.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: false });
  });

  test("of incremental backups makes a full one when its own full_every is over", async () => {
    const { site, at } = await scheduledSite();
    for (const time of ["11 00:00:00", "11 12:00:00", "12 00:15:00"]) {
      at(time);
      addFile(site);
      await site.operations.runSchedule({ name: "often", ifDue: false });
    }

    expect((await backupsOf(site)).map(({ mode }) => mode)).toEqual(["full", "incremental", "full"]);
  });

  test("makes a full one each day that full_every names, however late its runs begin", async () => {
    const changes = "schedules: {changes: {every: day, at: '02:00', mode: incremental, full_every: 2d}}";
    const { site, at } = await scheduledSite({ more: changes });
    for (const time of ["11 02:04:10", "12 02:01:00", "13 02:03:00", "14 09:30:00", "15 02:00:10", "16 02:00:09"]) {
      at(time);
      addFile(site);
      await site.operations.runSchedule({ name: "changes", ifDue: true });
    }

    const modes = (await backupsOf(site)).map(({ mode }) => mode);
    expect(modes).toEqual(["full", "incremental", "full", "incremental", "full", "incremental"]);
  });

  test("verifies and replicates as well", async () => {
    const { site, at } = await scheduledSite();
    await site.operations.runSchedule({ name: "nightly", ifDue: false });
    at("11 04:00:00");

    const verified = await site.operations.runSchedule({ name: "check", ifDue: true });
    expect(verified).toMatchObject({ ran: true, exitCode: 0, summary: "1 copy was checked, 1 passed" });
    const replicated = await site.operations.runSchedule({ name: "copies", ifDue: true });
    expect(replicated).toMatchObject({ ran: true, exitCode: 0, summary: "0 copies made" });
  });

  test("that failed is recorded as that, with the reason, and thrown", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    const broken = await withEngine(site, "files", {
      engine: (engine) => ({
        ...engine,
        dump: async () => {
          throw new BackupctlError("SOURCE_FAILED", "the disk is gone");
        },
      }),
    });

    await expect(broken.runSchedule({ name: "nightly", ifDue: true })).rejects.toMatchObject({ code: "SOURCE_FAILED" });

    expect(await listed(site.operations, "nightly")).toMatchObject({
      last: { status: "failed", summary: expect.stringContaining("the disk is gone") },
      counts: { total: 1, completed: 0, failed: 1 },
    });
    expect(await site.operations.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: false });
  });

  test("is not missed because others were made by a clock that was ahead", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    await site.operations.runSchedule({ name: "nightly", ifDue: true });
    at("21 02:00:00");
    await site.operations.runSchedule({ name: "nightly", ifDue: true });
    at("22 02:00:00");
    await site.operations.runSchedule({ name: "nightly", ifDue: true });

    at("11 10:00:00");

    expect(await listed(site.operations, "nightly")).toMatchObject({ missed: undefined });
    expect(await site.operations.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: false });
  });

  test("that was done in part says in the list what was not", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    rmSync(join(site.directory, "replica"), { recursive: true });

    expect(await site.operations.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ exitCode: 3 });

    expect(await listed(site.operations, "nightly")).toMatchObject({
      last: { status: "partial", summary: expect.stringContaining('; storage "second" is pending') },
    });
  });

  test("that was interrupted is due again, once", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    const stopped = async (): Promise<Operations> => {
      const controller = new AbortController();
      const operations = await site.reopen({ signal: controller.signal });
      controller.abort(new BackupctlError("INTERRUPTED", "interrupted by SIGTERM"));
      return operations;
    };

    // Its end is recorded by the process itself.
    await expect((await stopped()).runSchedule({ name: "nightly", ifDue: true })).rejects.toThrow();
    const catalog = await site.context.catalog("write");
    const run = {
      schedule: "nightly",
      scheduledFor: "2026-01-11T02:00:00.000Z",
      startedAt: "2026-01-11T02:00:00.000Z",
    };
    catalog.schedules.record({ ...run, id: "died", endedAt: undefined, status: "running", summary: undefined });
    expect(await listed(site.operations, "nightly")).toMatchObject({ last: { status: "interrupted" } });

    at("11 02:05:00");
    expect(await site.operations.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: true });
    expect(catalog.schedules.runs("nightly", 2).map(({ status }) => status)).toEqual(["completed", "interrupted"]);
  });

  test("is refused while it runs, by hand; nothing to do where only what is due was asked for", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    const state = await statePaths(site.session);
    const lock = await acquireLock(join(state.directory, "schedule-nightly.lock"), { operation: "schedule nightly" });

    await expect(site.operations.runSchedule({ name: "nightly", ifDue: false })).rejects.toMatchObject({
      exitCode: 11,
    });
    expect(await site.operations.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({
      ...{ ran: false, summary: "it is running already" },
    });
    await lock.release();
  });

  test("of one that is not enabled is by hand only, and it is never missed", async () => {
    const { site, at } = await scheduledSite();
    at("14 06:00:00");

    expect(await site.operations.runSchedule({ name: "off", ifDue: true })).toMatchObject({ ran: false });
    expect(await listed(site.operations, "off")).toMatchObject({ enabled: false, next: undefined, missed: undefined });
    expect(await site.operations.runSchedule({ name: "off", ifDue: false })).toMatchObject({ ran: true });
  });

  test("of an unknown name says which there are", async () => {
    const { site } = await scheduledSite();

    await expect(site.operations.runSchedule({ name: "nightli", ifDue: true })).rejects.toMatchObject({
      ...{ code: "SCHEDULE_NOT_FOUND", hint: "Use one of nightly, often, check, copies, off." },
    });
  });

  test("begins to count anew where its times were changed", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    await site.operations.runSchedule({ name: "nightly", ifDue: true });
    at("11 15:00:00");
    const [nightly, ...others] = site.session.loaded.config.schedules;
    if (nightly === undefined) throw new Error("no schedule");
    const schedules = [{ ...nightly, timing: { cron: "0 14 * * *", timezone: "UTC" } }, ...others];
    const loaded = { ...site.session.loaded, config: { ...site.session.loaded.config, schedules } };
    const changed = await site.reopen({ loaded });

    expect(await listed(changed, "nightly")).toMatchObject({ missed: undefined });
    expect(await changed.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: false });
    at("12 14:00:00");
    expect(await changed.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: true });
  });

  test("keeps its own error where its end can't be recorded", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    const { adapters } = site.session;
    const full = await site.reopen({
      adapters: {
        ...adapters,
        engines: {},
        openCatalog: async (options) => {
          const catalog = await adapters.openCatalog(options);
          const record = catalog.schedules.record.bind(catalog.schedules);
          catalog.schedules.record = (run) => {
            if (run.status !== "running") throw new BackupctlError("CATALOG_FAILED", "the disk is full");
            record(run);
          };
          return catalog;
        },
      },
    });

    await expect(full.runSchedule({ name: "nightly", ifDue: true })).rejects.toThrow('there is no engine "files"');
    expect(site.warnings.join()).toContain('could not be told how schedule "nightly" ended (the disk is full)');
  });

  test("is listed where the catalog can't be written, with a warning that it is not remembered", async () => {
    const site = await openSite({ more: SCHEDULES });
    const catalog = await site.context.catalog("write");
    catalog.bindRepository((await site.context.repository()).id);
    await site.create();
    const { adapters } = site.session;
    const away = await site.reopen({
      adapters: { ...adapters, storages: { ...adapters.storages, local: awayStorage(site) } },
    });

    expect(await away.listSchedules()).toHaveLength(5);
    expect(site.warnings.join()).toContain("what is missed from now on is not known");
  });

  test("goes on where the catalog was lost", async () => {
    const { site, at } = await scheduledSite();
    at("11 02:00:00");
    await site.operations.runSchedule({ name: "nightly", ifDue: true });
    const state = await statePaths(site.session);
    at("12 02:00:02");
    writeFileSync(state.catalog, "no database at all, and longer than a header of SQLite's would be".repeat(50));

    const again = await site.reopen();

    expect(await again.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: true });
    expect(await again.runSchedule({ name: "nightly", ifDue: true })).toMatchObject({ ran: false });
  });
});
