import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { type FtpServer, startVsftpd } from "../../servers/vsftpd.ts";

const definition = storageDefinitions.ftp!;
const MiB = 1024 * 1024;

describe.runIf(requireOrSkip("vsftpd", "root"))("an ftp connection", () => {
  let server: FtpServer;

  beforeAll(async () => {
    server = await startVsftpd();
  });

  afterAll(() => server.stop());

  async function openAt(path: string, { stallTimeoutMs = 60_000, connections = 4 } = {}): Promise<Storage> {
    const { host, port, user, password, caFile } = server;
    const options = { host, port, user, password, path, ca_file: caFile, connections };
    const storage = await definition.open(options, { name: "offsite", stallTimeoutMs });
    onTestFinished(() => storage.close());
    return storage;
  }

  async function keys(storage: Storage): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of storage.list("")) found.push(key);
    return found;
  }

  async function untilPartIn(folder: string): Promise<void> {
    while (!readdirSync(folder).some((name) => name.startsWith(".part-"))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  test("is used again: as many logins as configured, whatever the number of calls", async () => {
    const before = server.logins();
    const storage = await openAt(server.newFolder(), { connections: 3 });

    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        await storage.put(`folder/${n}`, randomBytes(1000));
        await storage.get(`folder/${n}`, { offset: 10, length: 10 });
      }),
    );
    await keys(storage);

    expect(server.logins() - before).toBe(3);
  });

  test("killed in the middle of a put leaves nothing visible, and the same put succeeds when the server is back", async () => {
    const folder = server.newFolder();
    const storage = await openAt(folder);
    const bytes = randomBytes(32 * MiB);

    const failed = expect(storage.put("pack", bytes)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retryable: true,
      message: expect.stringContaining("pack"),
    });
    await untilPartIn(folder);
    await server.kill();
    await failed;
    expect(existsSync(`${folder}/pack`)).toBe(false);
    await expect(storage.stat("pack")).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
    await server.start();

    expect(await keys(storage)).toEqual([]);
    await storage.put("pack", bytes);
    expect((await storage.get("pack"))?.equals(bytes)).toBe(true);
  });

  test("over which nothing moves is cut, and the next call has a new one", async () => {
    const folder = server.newFolder();
    const storage = await openAt(folder, { stallTimeoutMs: 1000 });
    await storage.put("object", Buffer.from("x"));

    server.pause();
    const stalled = { code: "STORAGE_FAILED", retryable: true };
    try {
      await expect(storage.get("object")).rejects.toMatchObject(stalled);
      await expect(storage.put("other", Buffer.from("x"))).rejects.toMatchObject(stalled);
    } finally {
      server.resume();
    }

    expect((await storage.get("object"))?.toString()).toBe("x");
  });

  test("that stalls in the middle of a put or a get is cut", async () => {
    const folder = server.newFolder();
    const storage = await openAt(folder, { stallTimeoutMs: 1000 });
    await storage.put("pack", randomBytes(32 * MiB));

    const stalled = { code: "STORAGE_FAILED", retryable: true };
    for (const call of [() => storage.put("other", randomBytes(32 * MiB)), () => storage.get("pack")]) {
      const failed = expect(call()).rejects.toMatchObject(stalled);
      await new Promise((resolve) => setTimeout(resolve, 60));
      server.pause();
      await failed.finally(() => server.resume());
    }

    expect((await storage.get("pack"))?.length).toBe(32 * MiB);
  });

  test("an aborted put ends at once and leaves nothing visible", async () => {
    const folder = server.newFolder();
    const storage = await openAt(folder);
    const controller = new AbortController();

    const aborted = expect(storage.put("pack", randomBytes(32 * MiB), { signal: controller.signal })).rejects.toThrow(
      "stop",
    );
    await untilPartIn(folder);
    controller.abort(new Error("stop"));
    await aborted;

    expect(await keys(storage)).toEqual([]);
    await expect.poll(() => readdirSync(folder)).toEqual([]);
    await storage.put("pack", Buffer.from("x"));
  });

  test("on which an aborted put still runs is given to nobody else, whatever the reason of the abort", async () => {
    const folder = server.newFolder();
    const storage = await openAt(folder);
    const controller = new AbortController();
    const reason = new BackupctlError("STORAGE_FAILED", "it fell behind");

    const aborted = expect(storage.put("pack", randomBytes(32 * MiB), { signal: controller.signal })).rejects.toBe(
      reason,
    );
    await untilPartIn(folder);
    controller.abort(reason);
    await aborted;

    expect(await keys(storage)).toEqual([]);
    await expect.poll(() => readdirSync(folder)).toEqual([]);
  });

  test("does not keep an abort waiting while nothing moves, nor while all connections are in use", async () => {
    const storage = await openAt(server.newFolder(), { connections: 1 });
    await storage.put("object", Buffer.from("x"));

    server.pause();
    try {
      const calls = [1, 2, 3].map(() => storage.get("object", undefined, { signal: AbortSignal.timeout(100) }));
      for (const { status } of await Promise.allSettled(calls)) expect(status).toBe("rejected");
    } finally {
      server.resume();
    }

    expect((await storage.get("object"))?.toString()).toBe("x");
  });
});
