import { readdirSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { type FtpServer, type FtpServerOptions, startVsftpd } from "../../servers/vsftpd.ts";

const definition = storageDefinitions.ftp!;

async function start(options: FtpServerOptions = {}): Promise<FtpServer> {
  const server = await startVsftpd(options);
  onTestFinished(() => server.stop());
  return server;
}

async function open(server: FtpServer, options: Record<string, unknown> = {}): Promise<Storage> {
  const { host, port, user, password, caFile } = server;
  const all = { host, port, user, password, path: server.newFolder(), ca_file: caFile, ...options };
  const storage = await definition.open(all, { name: "offsite", stallTimeoutMs: 5000 });
  onTestFinished(() => storage.close());
  return storage;
}

/** `options` with those that are `undefined` left out. */
function without(...names: readonly string[]): Record<string, undefined> {
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

describe.runIf(requireOrSkip("vsftpd", "root"))("an ftp login", () => {
  test.each(["explicit", "implicit"] as const)("by %s TLS, several servers at once", async (tls) => {
    const [one, two] = await Promise.all([start({ tls }), start({ tls })]);

    for (const server of [one, two]) {
      const storage = await open(server, { tls });
      await storage.put("object", Buffer.from("x"));
      expect((await storage.get("object"))?.toString()).toBe("x");
    }
    expect(one.port).not.toBe(two.port);
  });

  test("with a wrong password is STORAGE_DENIED, and the password is in no message", async () => {
    const server = await start();

    const error = await open(server, { password: "wrong-but-private" }).catch((reason: unknown) => reason);

    expect(error).toMatchObject({
      code: "STORAGE_DENIED",
      retryable: false,
      message: expect.stringContaining("offsite"),
    });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("wrong-but-private");
  });

  test.each(["explicit", "implicit"] as const)(
    "to a server whose certificate is not trusted sends no password (%s)",
    async (tls) => {
      const [server, other] = await Promise.all([start({ tls }), start({ tls })]);

      for (const ca of [without("ca_file"), { ca_file: other.caFile }]) {
        await expect(open(server, { tls, ...ca })).rejects.toMatchObject({
          code: "STORAGE_FAILED",
          retryable: false,
          hint: expect.stringContaining("ca_file"),
        });
      }

      expect(server.log()).not.toMatch(/"(USER|PASS)/);
    },
  );

  test("without TLS is refused unless the config says `insecure: true`", async () => {
    const server = await start({ tls: "none" });

    await expect(open(server, { tls: "none" })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("insecure: true"),
    });
    // Who waited for the server to be up has connected to it, and said nothing.
    expect(server.log()).not.toContain("FTP command");
    const storage = await open(server, { tls: "none", insecure: true });
    await storage.put("object", Buffer.from("x"));
    expect((await storage.get("object"))?.toString()).toBe("x");
  });

  test("to a server that has no TLS does not fall back, even with `insecure: true`", async () => {
    const server = await start({ tls: "none" });

    await expect(open(server, { insecure: true })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retryable: false,
      hint: expect.stringContaining("tls: none"),
    });

    expect(server.log()).not.toMatch(/"(USER|PASS)/);
  });

  test("to nobody is STORAGE_FAILED, which may pass", async () => {
    const server = await start();

    await expect(open(server, { port: 1 })).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
  });

  test("that stops in the middle of the TLS handshake is cut", async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => {
      sockets.add(socket);
      socket.write("220 hello\r\n");
      socket.on("data", () => socket.write("234 go on\r\n")).on("error", () => undefined);
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as { port: number };
    // After AUTH TLS the server's text is no TLS record, or nothing comes at all: both end.
    const options = { host: "127.0.0.1", port, user: "u", password: "p", path: "/" };

    await expect(definition.open(options, { name: "offsite", stallTimeoutMs: 300 })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
  });

  test("uses no more connections than the server allows, though more are configured", async () => {
    const server = await start({ settings: ["max_per_ip=2"] });
    const folder = server.newFolder();
    const storage = await open(server, { path: folder, connections: 8 });

    await Promise.all(Array.from({ length: 20 }, (_, n) => storage.put(`object-${n}`, Buffer.alloc(100_000, n))));

    expect(readdirSync(folder)).toHaveLength(20);
  });
});
