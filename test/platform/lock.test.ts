import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Clock } from "../../src/platform/clock.ts";
import { acquireLock, readHolder } from "../../src/platform/lock.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const clock: Clock = { now: () => new Date("2026-01-11T02:00:00Z"), monotonicMs: () => performance.now() };

function lockFile(): string {
  return join(tempDir(), "state", "run.lock");
}

/** Another process that holds the lock when this returns. */
async function holdElsewhere(file: string, operation = "create"): Promise<ChildProcess> {
  const script = join(import.meta.dirname, "lock-holding-process.ts");
  const child = spawn(process.execPath, ["--no-warnings", script, file, operation, "550e8400"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [line] = await once(child.stdout!, "data");
  expect(String(line)).toBe("held\n");
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}

describe("one holder", () => {
  test("a lock is held by one, until it is released", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create" }, { clock });

    await expect(acquireLock(file, { operation: "cleanup" })).rejects.toMatchObject({ code: "BACKUP_IN_PROGRESS" });

    await lock.release();
    await lock.release();
    const next = await acquireLock(file, { operation: "cleanup" });
    expect(next.previousHolder).toBeUndefined();
    await next.release();
  });

  test("the refusal names who holds it since when, and what helps", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create", backupId: "550e8400" }, { clock });

    const error = await acquireLock(file, { operation: "create" }).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: "BACKUP_IN_PROGRESS",
      exitCode: 11,
      retryable: true,
      message: expect.stringMatching(
        new RegExp(
          `^create of backup 550e8400 is in progress since 2026-01-11T02:00:00.000Z \\(process ${process.pid} of \\S+ on ${hostname()}\\)$`,
        ),
      ),
      hint: "Watch it with `backupctl status`, or wait for it with `--lock-wait 10m`.",
      data: { operation: "create", backupId: "550e8400", pid: process.pid, host: hostname() },
    });
    await lock.release();
  });

  test("a restore that holds it is RESTORE_IN_PROGRESS", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "restore" });

    await expect(acquireLock(file, { operation: "create" })).rejects.toMatchObject({ code: "RESTORE_IN_PROGRESS" });

    await lock.release();
  });

  test("of twenty who come at the same time one gets it", async () => {
    const file = lockFile();

    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => acquireLock(file, { operation: "create" })),
    );

    const locks = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(locks).toHaveLength(1);
    await locks[0]!.release();
  });

  test("files and folders are for the owner only, and only the lock file stays", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create" });

    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(`${file}.json`).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, "..")).mode & 0o777).toBe(0o700);

    await lock.release();
    expect(readdirSync(join(file, ".."))).toEqual(["run.lock"]);
  });

  test("a lock file that was removed under its holder does not let a stale descriptor count", async () => {
    const file = lockFile();
    const first = await acquireLock(file, { operation: "create" });
    unlinkSync(file);
    const second = await acquireLock(file, { operation: "cleanup" });

    await expect(acquireLock(file, { operation: "verify" })).rejects.toMatchObject({ code: "BACKUP_IN_PROGRESS" });

    await second.release();
    await first.release();
  });

  test("a place that can't be written is CATALOG_FAILED", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "state"), "");

    await expect(acquireLock(join(dir, "state/run.lock"), { operation: "create" })).rejects.toMatchObject({
      code: "CATALOG_FAILED",
      message: expect.stringContaining("run.lock"),
    });
  });

  test("facts that can't be written give the lock back", async () => {
    const file = lockFile();
    mkdirSync(`${file}.json/in-the-way`, { recursive: true });

    await expect(acquireLock(file, { operation: "create" })).rejects.toThrow();

    expect(existsSync(`${file}.json`)).toBe(true);
    expect(readdirSync(join(file, "..")).filter((name) => /json\../.test(name))).toEqual([]);
  });
});

describe("between processes", () => {
  test("a lock of another process excludes this one, and is free again once that one is done", async () => {
    const file = lockFile();
    const other = await holdElsewhere(file);

    await expect(acquireLock(file, { operation: "create" })).rejects.toMatchObject({ data: { pid: other.pid } });
    expect(await readHolder(file)).toMatchObject({ alive: true, holder: { pid: other.pid, backupId: "550e8400" } });

    const closed = once(other, "close");
    other.stdin!.write("release\n");
    await closed;
    const lock = await acquireLock(file, { operation: "create" });
    expect(lock.previousHolder).toBeUndefined();
    await lock.release();
  });

  test("a holder killed with -9 holds nothing, is said to be dead, and is told to the next", async () => {
    const file = lockFile();
    const other = await holdElsewhere(file);

    await killed(other);

    expect(await readHolder(file)).toMatchObject({ alive: false, holder: { operation: "create", pid: other.pid } });
    const lock = await acquireLock(file, { operation: "cleanup" });
    expect(lock.previousHolder).toMatchObject({ operation: "create", backupId: "550e8400", pid: other.pid });
    expect(await readHolder(file)).toMatchObject({ alive: true, holder: { operation: "cleanup", pid: process.pid } });
    await lock.release();
    expect(await readHolder(file)).toEqual({ alive: false, holder: undefined });
  });

  test("a child that the holder started does not keep its lock", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create" });
    const child = spawn("sleep", ["30"], { stdio: "ignore" });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child, "spawn");

    await lock.release();

    const next = await acquireLock(file, { operation: "create" });
    await next.release();
  });
});

describe("waiting", () => {
  test("whoever waits gets the lock when its holder dies", async () => {
    const file = lockFile();
    const other = await holdElsewhere(file);
    const waiting = acquireLock(file, { operation: "create" }, { waitMs: 30_000 });

    await killed(other);

    const lock = await waiting;
    expect(lock.previousHolder).toMatchObject({ pid: other.pid });
    await lock.release();
  });

  test("waiting ends with the refusal when the time is over", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create" });

    await expect(acquireLock(file, { operation: "cleanup" }, { waitMs: 300 })).rejects.toMatchObject({
      code: "BACKUP_IN_PROGRESS",
    });

    await lock.release();
  });

  test("waiting ends with the reason of an abort", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create" });
    const abort = new AbortController();
    const waiting = acquireLock(file, { operation: "cleanup" }, { waitMs: 60_000, signal: abort.signal });

    abort.abort(new Error("interrupted"));

    await expect(waiting).rejects.toThrow("interrupted");
    await lock.release();
  });
});

describe("facts", () => {
  test("update changes what a reader sees and keeps the rest", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create", backupId: "b1" }, { clock });

    await Promise.all([lock.update({ phase: "dumping", percent: 10 }), lock.update({ percent: 20 })]);

    expect((await readHolder(file)).holder).toMatchObject({
      operation: "create",
      backupId: "b1",
      phase: "dumping",
      percent: 20,
      since: "2026-01-11T02:00:00.000Z",
      pid: process.pid,
    });
    await lock.release();
    await lock.update({ percent: 30 });
    expect(existsSync(`${file}.json`)).toBe(false);
  });

  test("who asks writes nothing, and never stands in the way of who wants the lock", async () => {
    const file = lockFile();
    expect(await readHolder(file)).toEqual({ alive: false, holder: undefined });
    expect(existsSync(file)).toBe(false);

    let asking = true;
    const askers = Array.from({ length: 4 }, async () => {
      while (asking) await readHolder(file);
    });
    for (let n = 0; n < 50; n++) await (await acquireLock(file, { operation: "create" })).release();
    asking = false;

    await Promise.all(askers);
  });

  test("facts that a power cut left half-written are nobody's", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create" });
    await lock.release();
    writeFileSync(`${file}.json`, '{"operation":"cre');

    expect(await readHolder(file)).toEqual({ alive: false, holder: undefined });
    const next = await acquireLock(file, { operation: "cleanup" });
    expect(next.previousHolder).toBeUndefined();
    expect(JSON.parse(readFileSync(`${file}.json`, "utf8"))).toMatchObject({ operation: "cleanup" });
    await next.release();
  });

  test("a read-only lock file can still be asked", async () => {
    const file = lockFile();
    const lock = await acquireLock(file, { operation: "create" });
    chmodSync(file, 0o400);

    expect(await readHolder(file)).toMatchObject({ alive: true });

    await lock.release();
  });
});
