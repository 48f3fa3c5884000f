import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startFaultProxy } from "../../helpers/fault-proxy.ts";
import { makeNetworkSite } from "../../helpers/network-site.ts";
import { freePort } from "../../servers/free-port.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { startS3Places } from "../../servers/s3-places.ts";
import type { StorageServer } from "../../suites/network-suite.ts";

const OUTAGE_MS = 60_000;

describe.runIf(requireOrSkip("radosgw"))("an S3 service that is away for a minute", () => {
  let server: StorageServer;
  beforeAll(async () => {
    server = await startS3Places();
  });
  afterAll(() => server?.stop());

  it("is waited for with the defaults, told once, and the backup is whole", async () => {
    const proxy = await startFaultProxy(server.port);
    onTestFinished(() => proxy.close());
    const site = makeNetworkSite((await server.newPlace())(proxy));
    expect(await site.run("init")).toMatchObject({ exitCode: 0 });
    const before = proxy.moved.up;

    const creating = site.run("create");
    while (proxy.moved.up < before + 2_000_000) await sleep(5);
    proxy.refuse();
    await sleep(OUTAGE_MS);
    await proxy.accept();
    const { exitCode, stderr } = await creating;

    expect(exitCode, stderr).toBe(0);
    expect(stderr.match(/trying again for up to 5 minutes/g)).toHaveLength(1);
    expect(stderr).toMatch(/storage "site" answers again after \d+ (seconds|minutes)/);
    expect(await site.run("verify", "latest")).toMatchObject({ exitCode: 0 });
  });
});

describe("an S3 service that does not answer", () => {
  const place = async (more: Readonly<Record<string, unknown>> = {}) => ({
    type: "s3",
    bucket: "backups",
    endpoint: `http://127.0.0.1:${await freePort()}`,
    access_key_id: "nobody",
    secret_access_key: "a secret that nobody asks for",
    ...more,
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("keeps nobody waiting who sends a %s", async (signal, status) => {
    const site = makeNetworkSite(await place());
    const running = site.start("create");
    await new Promise<void>((resolve) => {
      running.child.stderr?.on("data", (text) => {
        if (String(text).includes("trying again")) resolve();
      });
    });
    // Into one of the longer waits.
    await sleep(3_000);
    const sentMs = performance.now();

    running.child.kill(signal);

    expect(await running.result).toMatchObject({ exitCode: status });
    expect(performance.now() - sentMs).toBeLessThan(2_000);
  });

  it("ends the command after retry_for, and the error says how often and how long it was tried", async () => {
    const site = makeNetworkSite(await place({ retry_for: "2s" }));

    const { exitCode, stderr } = await site.run("create");

    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/warning: .*ECONNREFUSED.*; trying again for up to 2 seconds/);
    expect(stderr).toMatch(/error: STORAGE_FAILED: .*ECONNREFUSED.* \(tried \d+ times in 2 seconds\)/);
  });
});
