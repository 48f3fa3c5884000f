import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { Operations, StorageCheck } from "../../../src/operations/operations.ts";
import type { ProbeResult, StorageContext } from "../../../src/storage/storage.ts";
import { openSite, withFaults } from "../../helpers/open-site.ts";

function check(operations: Operations, name = "local"): Promise<StorageCheck> {
  return operations.checkStorage({ name });
}

function outcomeOf({ results }: StorageCheck, what: string): ProbeResult | undefined {
  return results.find((result) => result.what === what);
}

describe("storage check", () => {
  it("passes a sound storage, and leaves nothing there", async () => {
    const site = await openSite();
    const before = readdirSync(site.repositoryDirectory);

    const result = await check(site.operations);

    expect(result).toMatchObject({ name: "local", type: "local", passed: true });
    expect(result.results.filter(({ outcome }) => outcome !== "works")).toEqual([]);
    expect(readdirSync(site.repositoryDirectory)).toEqual(before);
  });

  it("opens the storage for what is removed again, which nothing may lock", async () => {
    const site = await openSite();
    const { adapters } = site.session;
    const local = adapters.storages.local;
    const contexts: StorageContext[] = [];
    const operations = await site.reopen({
      adapters: {
        ...adapters,
        storages: {
          local: {
            ...local!,
            open: async (options, context) => {
              contexts.push(context);
              return local!.open(options, context);
            },
          },
        },
      },
    });

    await check(operations);

    expect(contexts).toMatchObject([{ scratch: true }]);
  });

  it("tells each step when it is known", async () => {
    const site = await openSite();
    const told: string[] = [];

    const { results } = await site.operations.checkStorage({ name: "local", onResult: ({ what }) => told.push(what) });

    expect(told).toEqual(results.map(({ what }) => what));
    expect(told).toContain("upload");
  });

  it("ends where nothing can be written, with what the storage says", async () => {
    const site = await openSite();
    const full = new BackupctlError("INSUFFICIENT_STORAGE", "the disk is full", { hint: "Free space." });
    const operations = await withFaults(site, (storage) => void storage.onCall("put", "every").fail(full));

    const result = await check(operations);

    expect(result.passed).toBe(false);
    expect(result.results.at(-1)).toMatchObject({ what: "write", outcome: "fails" });
    expect(result.results.at(-1)?.detail).toContain("the disk is full");
  });

  it("says at once that a storage does not answer, however long a backup would wait for it", async () => {
    const site = await openSite({ storageOptions: "retry_for: 1h" });
    const away = new BackupctlError("STORAGE_FAILED", "connection refused", { retryable: true });
    const operations = await withFaults(site, (storage) => void storage.onCall("put", "every").fail(away));

    expect(outcomeOf(await check(operations), "write")).toMatchObject({ outcome: "fails" });
  });

  it("finds a storage that gives other bytes back", async () => {
    const site = await openSite();
    const operations = await withFaults(site, (storage) => {
      storage.onKey("get", /load-/).corrupt((bytes) => bytes.fill(0, 100, 101));
    });

    const result = await check(operations);

    expect(outcomeOf(result, "read")).toMatchObject({ outcome: "works" });
    expect(outcomeOf(result, "download")).toMatchObject({ outcome: "fails" });
    expect(result.passed).toBe(false);
  });

  it("finds a clock that is ahead", async () => {
    const site = await openSite();
    const past = { now: () => new Date(Date.now() - 3_600_000), monotonicMs: () => performance.now() };
    const operations = await site.reopen({ clock: past });

    const clock = outcomeOf(await check(operations), "clock");

    expect(clock).toMatchObject({ outcome: "fails" });
    expect(clock?.detail).toContain("ahead of");
  });

  it("finds a storage that does not list what was just written", async () => {
    const site = await openSite();
    const operations = await withFaults(site, (storage) => {
      const { list } = storage;
      Object.assign(storage, {
        async *list(prefix: string) {
          for await (const object of list(prefix)) if (!object.key.endsWith("/listed")) yield object;
        },
      });
    });

    expect(outcomeOf(await check(operations), "list at once")).toMatchObject({ outcome: "fails" });
  });

  it("removes what a killed check left a day ago, and leaves alone what may be another that runs", async () => {
    const site = await openSite();
    const [old, recent] = ["old", "recent"].map((name) => join(site.repositoryDirectory, "storage-check", name));
    for (const folder of [old, recent]) {
      mkdirSync(folder ?? "", { recursive: true });
      writeFileSync(join(folder ?? "", "small"), "x");
    }
    const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
    utimesSync(join(old ?? "", "small"), twoDaysAgo, twoDaysAgo);

    await check(site.operations);

    expect(readdirSync(join(site.repositoryDirectory, "storage-check"))).toEqual(["recent"]);
  });

  it("names the storages that there are, for one that is not", async () => {
    const site = await openSite();

    await expect(check(site.operations, "nowhere")).rejects.toMatchObject({
      code: "STORAGE_NOT_FOUND",
      exitCode: 2,
      hint: expect.stringContaining("local"),
    });
  });

  it("does not disturb the backups, nor is it taken for one", async () => {
    const site = await openSite();
    await site.create();
    await check(site.operations);

    const rebuilt = await site.operations.rebuildCatalog();

    expect(rebuilt).toMatchObject({ found: 1, damaged: [] });
  });
});
