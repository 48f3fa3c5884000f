import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { type SshServer, startSshd } from "../../servers/sshd.ts";

const definition = storageDefinitions.sftp!;
const MiB = 1024 * 1024;

describe.runIf(requireOrSkip("sshd", "root"))("an sftp connection", () => {
  let server: SshServer;

  beforeAll(async () => {
    server = await startSshd();
  });

  afterAll(() => server.stop());

  async function openAt(path: string, stallTimeoutMs?: number): Promise<Storage> {
    const { host, port, user, privateKey, fingerprint } = server;
    const options = { host, port, user, path, private_key: privateKey, host_key: fingerprint };
    const context = { name: "offsite", ...(stallTimeoutMs === undefined ? {} : { stallTimeoutMs }) };
    const storage = await definition.open(options, context);
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

  test("is used for every call: one login", async () => {
    const storage = await openAt(server.newFolder());
    const before = server.logins();

    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        await storage.put(`folder/${n}`, randomBytes(1000));
        await storage.get(`folder/${n}`, { offset: 10, length: 10 });
      }),
    );
    await keys(storage);

    expect(server.logins()).toBe(before);
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
    const storage = await openAt(folder, 500);
    await storage.put("object", Buffer.from("x"));

    server.pause();
    const stalled = { code: "STORAGE_FAILED", retryable: true, message: expect.stringContaining("nothing moved") };
    try {
      await expect(storage.get("object")).rejects.toMatchObject(stalled);
      await expect(storage.put("other", Buffer.from("x"))).rejects.toMatchObject(stalled);
      await expect(openAt(folder, 500)).rejects.toMatchObject(stalled);
    } finally {
      server.resume();
    }

    expect((await storage.get("object"))?.toString()).toBe("x");
  });

  test("that idles longer than the limit for stalls is not cut", async () => {
    const storage = await openAt(server.newFolder(), 200);
    const before = server.logins();

    await new Promise((resolve) => setTimeout(resolve, 600));
    await storage.put("object", Buffer.from("x"));

    expect(server.logins()).toBe(before);
  });

  test("an aborted put ends at once, leaves nothing, and the connection goes on", async () => {
    const folder = server.newFolder();
    const storage = await openAt(folder);
    const controller = new AbortController();
    const before = server.logins();

    const aborted = expect(storage.put("pack", randomBytes(32 * MiB), { signal: controller.signal })).rejects.toThrow(
      "stop",
    );
    await untilPartIn(folder);
    controller.abort(new Error("stop"));
    await aborted;

    await expect.poll(() => readdirSync(folder)).toEqual([]);
    await storage.put("pack", Buffer.from("x"));
    expect(server.logins()).toBe(before);
  });

  test("does not keep an abort waiting while nothing moves", async () => {
    const storage = await openAt(server.newFolder());
    await storage.put("object", Buffer.from("x"));

    server.pause();
    try {
      await expect(storage.get("object", undefined, { signal: AbortSignal.timeout(100) })).rejects.toThrow("timeout");
    } finally {
      server.resume();
    }
  });
});
