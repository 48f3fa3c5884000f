import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type FaultProxy, startFaultProxy } from "../helpers/fault-proxy.ts";
import { makeNetworkSite } from "../helpers/network-site.ts";
import type { NetworkSuite, StorageServer } from "./network-suite.ts";

const MIB = 1024 * 1024;
const BETWEEN_FAULTS_MS = 500;
const ROUNDS = 2;
const OUTAGE_MS = 1_500;

/** What an operator's commands do over a line that breaks again and again. `npm run build` first. */
export function networkProgramSuite({ name, start }: NetworkSuite): void {
  describe(`the program with ${name} over a network that breaks now and then`, () => {
    let server: StorageServer;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.stop());

    test("makes a backup, verifies and restores it, byte for byte", async () => {
      const proxy = await startFaultProxy(server.port, server.dataPorts);
      onTestFinished(() => proxy.close());
      const place = (await server.newPlace())(proxy);
      const site = makeNetworkSite({ ...place, retry_for: "2m", stall_timeout: "1s" });
      const restored = join(site.directory, "restored");
      await site.run("init");
      const weather = badWeather(proxy);

      const created = await site.run("create");
      const verified = await site.run("verify", "latest");
      const restoredRun = await site.run("restore", "latest", "--to", restored, "--yes");
      await weather.end();

      for (const result of [created, verified, restoredRun]) expect(result.exitCode, result.stderr).toBe(0);
      expect(contentsOf(restored)).toEqual(contentsOf(join(site.directory, "www")));
      expect(proxy.broken).toBeGreaterThan(2);
      expect(created.stderr).toContain("trying again for up to 2 minutes");
    });
  });
}

/** SHA-256 of each file below, by its path from the last `www` on. */
function contentsOf(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  return new Map(
    paths.map((path) => [
      path.slice(path.lastIndexOf("/www/")),
      createHash("sha256").update(readFileSync(path)).digest("hex"),
    ]),
  );
}

/** One fault after another, some rounds long: a line that is never in order would let nothing through. */
function badWeather(proxy: FaultProxy): { end(): Promise<void> } {
  let ended = false;
  const faults: readonly (() => unknown)[] = [
    () => proxy.breakNext({ kind: "reset", direction: "up", after: MIB }),
    () => proxy.breakNext({ kind: "stall", direction: "up", after: 3 * MIB }),
    () => proxy.breakNext({ kind: "reset", direction: "down", after: MIB }),
    () => proxy.dropAll(),
    () => proxy.breakNext({ kind: "stall", direction: "down", after: 100 }),
    async () => {
      proxy.refuse();
      await sleep(OUTAGE_MS);
      await proxy.accept();
    },
  ];
  const blowing = (async () => {
    for (let n = 0; n < ROUNDS * faults.length && !ended; n++) {
      await sleep(BETWEEN_FAULTS_MS);
      await faults[n % faults.length]?.();
    }
  })();
  return {
    end: async () => {
      ended = true;
      await blowing;
    },
  };
}
