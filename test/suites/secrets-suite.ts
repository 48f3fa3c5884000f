import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startFaultProxy } from "../helpers/fault-proxy.ts";
import { makeNetworkSite, type NetworkSite } from "../helpers/network-site.ts";
import { freePort } from "../servers/free-port.ts";
import type { Address, NetworkSuite, StorageServer } from "./network-suite.ts";

/** What makes libraries talk. */
const TALKATIVE = {
  DEBUG: "*",
  NODE_DEBUG: "http",
  AZURE_LOG_LEVEL: "verbose",
  TYPESPEC_RUNTIME_LOG_LEVEL: "verbose",
  GOOGLE_SDK_NODE_LOGGING: "*",
};

const COMMANDS = [
  ["init", "-v"],
  ["config", "show"],
  ["config", "validate", "-v"],
  ["create", "-v"],
  ["verify", "latest", "-v"],
  ["storage", "list", "--json"],
  ["storage", "check", "site", "-v"],
  ["catalog", "rebuild", "-v"],
];

/** The program with a storage: no secret of it comes out, whatever happens. `npm run build` first. */
export function secretsSuite({ name, start }: NetworkSuite): void {
  describe(`the secrets of ${name} are in no output and no file`, () => {
    let server: StorageServer;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.stop());

    async function siteAt(
      address: Address,
      change = (option: string) => option,
      limits: object = { retry_for: "0s", stall_timeout: "1s" },
    ): Promise<NetworkSite> {
      const place = (await server.newPlace())(address);
      // Before they are written as JSON, which would write a secret that is JSON itself in another way.
      const text = JSON.stringify(place, (_, option: unknown) =>
        typeof option === "string" ? change(option) : option,
      );
      const storage = { ...JSON.parse(text), ...limits };
      return makeNetworkSite(storage, { largeFiles: 1, env: TALKATIVE });
    }

    /** Runs the commands, and looks at all that came of it. @returns their exit statuses */
    async function lookAt(site: NetworkSite, commands: readonly (readonly string[])[], secrets: readonly string[]) {
      const statuses: (number | null)[] = [];
      for (const command of commands) {
        const { exitCode, stdout, stderr } = await site.run(...command);
        statuses.push(exitCode);
        expectNone(secrets, Buffer.from(`${stdout}\n${stderr}`), `the output of ${command.join(" ")}`);
      }
      for (const file of filesBelow(join(site.directory, "state"))) expectNone(secrets, readFileSync(file), file);
      return statuses;
    }

    test("where everything works", async () => {
      // An emulator on a busy machine may take its time.
      const limits = { retry_for: "1m", stall_timeout: "20s" };
      const site = await siteAt({ host: "127.0.0.1", port: server.port }, undefined, limits);

      const statuses = await lookAt(site, COMMANDS, server.secrets);

      // A check may find that something does not work there, which is no failure of it.
      expect([0, 4]).toEqual(expect.arrayContaining([...new Set(statuses)]));
    });

    test("where the login is wrong", async () => {
      const wrong = server.secrets.map((secret) => [...secret].reverse().join(""));
      const change = (option: string) =>
        server.secrets.reduce((text, secret, n) => text.replaceAll(secret, wrong[n] ?? ""), option);
      const site = await siteAt({ host: "127.0.0.1", port: server.port }, change);

      const statuses = await lookAt(
        site,
        [
          ["init", "-v"],
          ["create", "-v"],
          ["storage", "list", "--json"],
        ],
        [...server.secrets, ...wrong],
      );

      expect(statuses).not.toContain(0);
    });

    test("where nobody answers", async () => {
      const site = await siteAt({ host: "127.0.0.1", port: await freePort() });

      const statuses = await lookAt(
        site,
        [
          ["init", "-v"],
          ["create", "--json"],
        ],
        server.secrets,
      );

      expect(statuses).not.toContain(0);
    });

    test("where the line breaks, or nothing comes any more", async () => {
      const proxy = await startFaultProxy(server.port, server.dataPorts);
      onTestFinished(() => proxy.close());
      const site = await siteAt(proxy);
      for (const kind of ["reset", "stall"] as const) {
        for (const after of [0, 50, 500, 5_000]) proxy.breakNext({ kind, direction: "down", after });
      }

      const statuses = await lookAt(
        site,
        [
          ["init", "-v"],
          ["create", "-v"],
          ["create", "--json"],
        ],
        server.secrets,
      );

      expect(proxy.broken).toBeGreaterThan(0);
      expect(statuses).not.toEqual(statuses.map(() => 0));
    });
  });
}

function expectNone(secrets: readonly string[], bytes: Buffer, where: string): void {
  for (const secret of secrets) {
    for (const spelling of [secret, Buffer.from(secret).toString("base64"), encodeURIComponent(secret)]) {
      expect(bytes.includes(spelling), where).toBe(false);
    }
  }
}

function filesBelow(folder: string): readonly string[] {
  // A login that can't even be one is refused before anything is kept.
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
