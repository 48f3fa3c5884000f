import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe } from "vitest";
import { requireOrSkip } from "../servers/requirements.ts";
import { type SshServer, startSshd } from "../servers/sshd.ts";
import { emptyMachineSuite } from "../suites/empty-machine-suite.ts";

describe.runIf(requireOrSkip("sshd", "root"))("sftp", () => {
  let server: SshServer;

  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(() => server.stop());

  const at = () => {
    const { host, port, user, fingerprint } = server;
    return { type: "sftp", host, port, user, path: server.newFolder(), host_key: fingerprint };
  };
  /** A line of its middle, which nothing else has. */
  const bodyOf = (key: string): string => key.split("\n")[2] ?? "";

  emptyMachineSuite({
    name: "sftp with a password",
    place: async () => ({ storage: { ...at(), password: server.password }, secrets: [server.password] }),
  });

  emptyMachineSuite({
    name: "sftp with a key under a passphrase",
    place: async () => {
      const { file, text, passphrase } = server.lockedKey;
      return { storage: { ...at(), private_key_file: file, passphrase }, secrets: [passphrase, bodyOf(text)] };
    },
  });

  emptyMachineSuite({
    name: "sftp with a key in the config",
    place: async () => {
      const key = server.privateKey.includes("\n") ? server.privateKey : readFileSync(server.privateKey, "utf8");
      return { storage: { ...at(), private_key: key }, secrets: [bodyOf(key)] };
    },
  });
});
