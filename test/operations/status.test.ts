import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { statePaths } from "../../src/operations/session.ts";
import { acquireLock } from "../../src/platform/lock.ts";
import { holderFile } from "../../src/platform/lock-holder.ts";
import { fuzz, jsonText, mutatedBytes, mutatedJson } from "../helpers/fuzz.ts";
import { createOne, openSite } from "../helpers/open-site.ts";

const DEAD_ID = "0a0a0a0a-0000-4000-8000-000000000001";

describe("status", () => {
  it("shows a running backup from elsewhere, with its progress", async () => {
    const site = await openSite();
    const watcher = await site.reopen();
    const seen: Promise<unknown>[] = [];
    const { progress } = await statePaths(site.session);

    const backup = await createOne(site, {
      onProgress: () => {
        if (seen.length < 20) seen.push(watcher.status(undefined));
      },
    });

    const statuses = await Promise.all(seen);
    expect(statuses[0]).toMatchObject({
      backupId: backup.id,
      operation: "create",
      status: "running",
      endedAt: undefined,
      holder: { pid: process.pid, alive: true },
    });
    expect(existsSync(progress)).toBe(false);
  });

  it("tells what a dead holder was doing, and how far it was", async () => {
    const site = await openSite();
    await createOne(site);
    const { lock, progress } = await statePaths(site.session);
    const child = spawn("true");
    await once(child, "exit");
    const holder = {
      operation: "create",
      backupId: DEAD_ID,
      pid: child.pid,
      host: "test-host",
      user: "root",
      since: "2026-01-11T02:00:00.000Z",
    };
    writeFileSync(holderFile(lock), JSON.stringify(holder));
    const done = {
      phase: "www_backup",
      phasesCompleted: [],
      phasesRemaining: ["commit"],
      percent: 40,
      bytesDone: 4,
      filesDone: 1,
      secondsElapsed: 2,
    };
    writeFileSync(
      progress,
      JSON.stringify({
        backup_id: DEAD_ID,
        operation: "create",
        progress: done,
        updated_at: "2026-01-11T02:05:00.000Z",
      }),
    );

    for (const reference of [undefined, DEAD_ID, DEAD_ID.slice(0, 8)]) {
      expect(await site.operations.status(reference)).toMatchObject({
        backupId: DEAD_ID,
        status: "interrupted",
        progress: { phase: "www_backup", percent: 40 },
        startedAt: "2026-01-11T02:00:00.000Z",
        endedAt: "2026-01-11T02:05:00.000Z",
        holder: { pid: child.pid, alive: false },
        error: { code: "INTERRUPTED" },
      });
    }
  });

  it("does not take another run's progress, or garbage, for that of this one", async () => {
    const site = await openSite();
    await createOne(site);
    const { lock, progress } = await statePaths(site.session);
    const holder = {
      operation: "restore",
      backupId: DEAD_ID,
      pid: 1,
      host: "h",
      user: "root",
      since: "2026-01-11T02:00:00.000Z",
    };
    writeFileSync(holderFile(lock), JSON.stringify(holder));
    writeFileSync(progress, "{");

    expect(await site.operations.status(undefined)).toMatchObject({
      operation: "restore",
      status: "interrupted",
      progress: undefined,
    });
  });

  it("shows the newest run where nothing runs, finished or failed", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    expect(await site.operations.status(undefined)).toMatchObject({
      backupId: backup.id,
      status: "completed",
      holder: undefined,
    });
    rmSync(join(site.directory, "www"), { recursive: true });

    await expect(site.create()).rejects.toMatchObject({ code: "SOURCE_FAILED" });

    expect(await site.operations.status(undefined)).toMatchObject({
      status: "failed",
      error: { code: "SOURCE_FAILED" },
    });
    expect(await site.operations.status(backup.id.slice(0, 8))).toMatchObject({
      backupId: backup.id,
      operation: "create",
    });
  });

  it("shows a row that says running without a holder as interrupted", async () => {
    const site = await openSite();
    await createOne(site);
    const catalog = await site.context.catalog("write");
    catalog.begin({
      ...{ id: DEAD_ID as never, type: "full", mode: "full", category: "daily", timestamp: "2026-01-11T02:00:00.000Z" },
      ...{ host: "test-host", createdBy: "tester", storagePath: "full/daily/2026-01-11/full-02-00-00-0a0a0a0a" },
      ...{ parentId: undefined, pid: 1234, tags: [], description: undefined },
    });

    expect(await site.operations.status(DEAD_ID)).toMatchObject({
      status: "interrupted",
      holder: { pid: 1234, alive: false },
    });
  });

  it("shows the run that works on the backup which latest means", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    const { lock: file } = await statePaths(site.session);
    const lock = await acquireLock(file, { operation: "restore", backupId: id });

    expect(await site.operations.status("latest")).toMatchObject({
      backupId: id,
      operation: "restore",
      status: "running",
    });
    await lock.release();
  });

  it("says so when nothing has run yet", async () => {
    const site = await openSite();

    await expect(site.operations.status(undefined)).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });
});

it("takes whatever lies there as the holder and the progress of a run for facts, or for nothing", async () => {
  const site = await openSite();
  const backup = await createOne(site);
  const { lock, progress } = await statePaths(site.session);
  const since = "2026-01-11T02:00:00.000Z";
  const holder = { operation: "create", backupId: backup.id, pid: 2 ** 22, host: "test-host", user: "root", since };
  const done = { phase: "www_backup", phasesCompleted: [], phasesRemaining: ["commit"], percent: 40, bytesDone: 4 };
  const facts = { ...done, filesDone: 1, secondsElapsed: 2, activity: "www" };
  const strange = (value: unknown) =>
    fc.oneof<[fc.Arbitrary<string>, fc.Arbitrary<Buffer>]>(
      mutatedJson(value).map(jsonText),
      mutatedBytes(Buffer.from(jsonText(value))),
    );

  await fuzz(
    fc.tuple(strange(holder), strange({ backup_id: backup.id, updated_at: since, progress: facts })),
    ([held, written]) => {
      writeFileSync(holderFile(lock), held);
      writeFileSync(progress, written);
    },
    () => site.operations.status(undefined),
    () => site.operations.status(backup.id),
  );
});
