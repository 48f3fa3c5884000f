import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { fingerprintOf, newKey, publicKey, type SshServer, startSshd } from "../../servers/sshd.ts";

const definition = storageDefinitions.sftp!;
const PASSWORD_METHODS = /userauth-request for user \S+ service ssh-connection method (password|keyboard-interactive)/;
const ANY_METHOD = /userauth-request/;

describe.runIf(requireOrSkip("sshd", "ssh-agent", "root"))("an sftp login", () => {
  let server: SshServer;
  let path: string;

  beforeAll(async () => {
    server = await startSshd({ hostKeys: ["ed25519", "ecdsa", "rsa"], settings: ["LogLevel DEBUG1"] });
    path = server.newFolder();
  });

  afterAll(() => server.stop());

  async function open(options: Record<string, unknown>): Promise<Storage> {
    const { host, port, user, fingerprint } = server;
    const pin = "known_hosts" in options ? {} : { host_key: fingerprint };
    const storage = await definition.open({ host, port, user, path, ...pin, ...options }, { name: "offsite" });
    onTestFinished(() => storage.close());
    return storage;
  }

  /** What the server logs while `attempt` runs. */
  async function logOf(attempt: () => Promise<unknown>): Promise<string> {
    const before = server.log().length;
    await attempt();
    return server.log().slice(before);
  }

  function knownHosts(...lines: readonly string[]): string {
    const file = join(tempDir(), "known_hosts");
    writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
    return file;
  }

  const name = () => `[${server.host}]:${server.port}`;
  /** A line for the server's key of this kind. */
  const line = (kind: number) => `${name()} ${publicKey(server.hostKeys[kind]!)}`.trim();

  describe("proves who it is", () => {
    test("with a key", async () => {
      await (await open({ private_key: server.privateKey })).put("by-key", Buffer.from("x"));
    });

    test("with a key under a passphrase", async () => {
      const { text, passphrase } = server.lockedKey;

      await (await open({ private_key: text, passphrase })).put("by-locked-key", Buffer.from("x"));
    });

    test("with a password", async () => {
      await (await open({ password: server.password })).put("by-password", Buffer.from("x"));
    });

    test("with a password where a key is not accepted", async () => {
      const stranger = newKey(join(tempDir(), "stranger"), "ed25519");
      const private_key = execFileSync("cat", [stranger], { encoding: "utf8" });

      await open({ private_key, password: server.password });
    });

    test("with the agent's key where nothing else is given", async () => {
      const socket = join(tempDir(), "agent");
      const agent: ChildProcess = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
      onTestFinished(() => void agent.kill());
      while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 10));
      execFileSync("ssh-add", ["-q", "-"], {
        input: server.privateKey,
        env: { ...process.env, SSH_AUTH_SOCK: socket },
      });
      withAgent(socket);

      await (await open({})).put("by-agent", Buffer.from("x"));
    });

    test("or is CONFIG_INVALID with nothing to prove it by", async () => {
      withAgent(undefined);

      await expect(open({})).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        hint: expect.stringContaining("SSH_AUTH_SOCK"),
      });
    });

    test.each([
      ["is not there", () => join(tempDir(), "agent")],
      ["has ended, and left its socket", deadSocket],
    ])("not with an agent that %s: it stays so", async (_, socket) => {
      withAgent(await socket());

      await expect(open({})).rejects.toMatchObject({
        ...{ code: "STORAGE_DENIED", retryable: false },
        message: expect.stringContaining("ssh-agent"),
        hint: expect.stringContaining("SSH_AUTH_SOCK"),
      });
    });

    async function deadSocket(): Promise<string> {
      const socket = join(tempDir(), "agent");
      const listens = "require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))";
      await new Promise((resolve) => spawn(process.execPath, ["-e", listens, socket]).on("exit", resolve));
      return socket;
    }

    function withAgent(socket: string | undefined): void {
      const { SSH_AUTH_SOCK } = process.env;
      if (socket === undefined) delete process.env.SSH_AUTH_SOCK;
      else process.env.SSH_AUTH_SOCK = socket;
      onTestFinished(() => {
        if (SSH_AUTH_SOCK === undefined) delete process.env.SSH_AUTH_SOCK;
        else process.env.SSH_AUTH_SOCK = SSH_AUTH_SOCK;
      });
    }
  });

  describe("is refused", () => {
    test("with a wrong password: STORAGE_DENIED, and the password is in no message", async () => {
      const error = await open({ password: "wrong-but-private" }).catch((reason: unknown) => reason);

      expect(error).toMatchObject({
        code: "STORAGE_DENIED",
        retryable: false,
        message: expect.stringMatching(/storage "offsite" .* as backupctl-test/),
      });
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("wrong-but-private");
    });

    test("with a key that the server does not know", async () => {
      const private_key = execFileSync("cat", [newKey(join(tempDir(), "stranger"), "ed25519")], { encoding: "utf8" });

      await expect(open({ private_key })).rejects.toMatchObject({ code: "STORAGE_DENIED" });
    });

    test.each([
      ["a locked key without its passphrase", () => ({ private_key: server.lockedKey.text })],
      ["a locked key with a wrong one", () => ({ private_key: server.lockedKey.text, passphrase: "wrong" })],
      ["a public key", () => ({ private_key: publicKey(server.lockedKey.file) })],
      ["no key at all", () => ({ private_key: "not a key" })],
    ])("with %s: CONFIG_INVALID", async (_, options) => {
      await expect(open(options())).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: expect.stringContaining("private_key"),
        hint: expect.stringContaining("passphrase"),
      });
    });

    test("by a server that is not there: STORAGE_FAILED, which may pass", async () => {
      await expect(open({ password: "x", port: 1 })).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        retryable: true,
        message: expect.stringContaining(`${server.host}:1`),
      });
    });

    test("by a name that nobody knows: STORAGE_FAILED, which stays", async () => {
      const unknown = open({ password: "x", host: "nowhere.invalid" });

      await expect(unknown).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("nowhere"),
      });
    });
  });

  describe("trusts the server", () => {
    test("whose key is in a known_hosts file, hashed or not, whatever its kind", async () => {
      for (const kind of server.hostKeys.keys()) {
        const known_hosts = knownHosts(line(kind));
        await open({ password: server.password, known_hosts });

        execFileSync("ssh-keygen", ["-q", "-H", "-f", known_hosts], { stdio: "ignore" });
        await open({ password: server.password, known_hosts });
      }
    });

    test("not if its key is unknown: no password is sent, and the hint shows the fingerprint", async () => {
      const known_hosts = knownHosts(`elsewhere ${publicKey(server.hostKeys[0]!)}`);

      const log = await logOf(() =>
        expect(open({ password: server.password, known_hosts })).rejects.toMatchObject({
          code: "STORAGE_FAILED",
          retryable: false,
          message: expect.stringContaining("not known"),
          hint: expect.stringContaining(`\`host_key: ${server.fingerprint}\``),
        }),
      );

      expect(log).not.toMatch(ANY_METHOD);
    });

    test("not if its key has changed", async () => {
      const stranger = newKey(join(tempDir(), "stranger"), "ed25519");
      const known_hosts = knownHosts(`${name()} ${publicKey(stranger)}`);

      const log = await logOf(() =>
        expect(open({ password: server.password, known_hosts })).rejects.toMatchObject({
          code: "STORAGE_FAILED",
          message: expect.stringContaining("another one"),
          hint: expect.stringContaining(server.fingerprint),
        }),
      );

      expect(log).not.toMatch(ANY_METHOD);
    });

    test("not if its key is revoked, though it is known too", async () => {
      const known_hosts = knownHosts(line(0));
      appendFileSync(known_hosts, `@revoked * ${publicKey(server.hostKeys[0]!)}`);

      await expect(open({ password: server.password, known_hosts })).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("revoked"),
      });
    });

    test("not if its key is not the pinned one", async () => {
      const host_key = fingerprintOf(newKey(join(tempDir(), "stranger"), "ed25519"));

      const log = await logOf(() =>
        expect(open({ password: server.password, host_key })).rejects.toMatchObject({
          code: "STORAGE_FAILED",
          retryable: false,
          hint: expect.stringContaining(server.fingerprint),
        }),
      );

      expect(log).not.toMatch(ANY_METHOD);
    });

    test("and a pin beats the file", async () => {
      const known_hosts = knownHosts(`${name()} ${publicKey(newKey(join(tempDir(), "stranger"), "ed25519"))}`);

      await open({ password: server.password, known_hosts, host_key: server.fingerprint });
    });

    test("a known_hosts file that is not there is CONFIG_INVALID", async () => {
      await expect(open({ password: "x", known_hosts: "/nowhere/known_hosts" })).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: expect.stringContaining("/nowhere/known_hosts"),
      });
    });
  });

  test("sends no password to a server that takes keys only", async () => {
    const keysOnly = await startSshd({
      settings: ["LogLevel DEBUG1", "PasswordAuthentication no", "KbdInteractiveAuthentication no"],
    });
    onTestFinished(() => keysOnly.stop());
    const { host, port, user, fingerprint, password } = keysOnly;
    const options = { host, port, user, password, path: "/", host_key: fingerprint };

    await expect(definition.open(options, { name: "offsite" })).rejects.toMatchObject({ code: "STORAGE_DENIED" });

    expect(keysOnly.log()).not.toMatch(PASSWORD_METHODS);
  });
});
