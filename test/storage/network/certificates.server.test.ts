import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runCli } from "../../helpers/run-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { makeCertificate } from "../../servers/certificate.ts";
import { requireOrSkip } from "../../servers/requirements.ts";

/** A server whose certificate nobody trusts, and how often it was asked for anything. */
async function untrusted(dir: string): Promise<{ readonly port: number; readonly requests: () => number }> {
  const { certificateFile, keyFile } = await makeCertificate(dir);
  let requests = 0;
  const server = createServer({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) }, (_, response) => {
    requests += 1;
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests: () => requests };
}

const TYPES: Readonly<Record<string, (port: number) => object>> = {
  s3: (port) => ({
    bucket: "backups",
    endpoint: `https://localhost:${port}`,
    access_key_id: "i",
    secret_access_key: "s",
  }),
  azure: (port) => ({ account: "example", container: "backups", endpoint: `https://localhost:${port}`, sas: "sv=1" }),
  ftp: (port) => ({ host: "localhost", port, tls: "implicit", user: "u", password: "private", path: "/backups" }),
};

test.runIf(requireOrSkip("openssl")).each(Object.keys(TYPES))(
  "an environment that switches certificates off switches none off (%s)",
  async (type) => {
    const dir = tempDir();
    const server = await untrusted(dir);
    const config = join(dir, "backup.config.yaml");
    // JSON is YAML.
    const storages = { cloud: { type, ...TYPES[type]?.(server.port) } };
    writeFileSync(
      config,
      JSON.stringify({ version: 1, name: "site", encryption: { enabled: false }, storages, sources: {} }),
    );

    const { exitCode, stderr } = await runCli(["storage", "check", "cloud", "--config", config], {
      home: dir,
      env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
    });

    expect(stderr).toMatch(/^error: STORAGE_FAILED: .*certificate/);
    expect(stderr).toContain("ca_file");
    expect(exitCode).not.toBe(0);
    expect(server.requests()).toBe(0);
  },
);
