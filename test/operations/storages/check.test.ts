import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { Operations, StorageCheck } from "../../../src/operations/operations.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import type { ProbeResult, Storage, StorageContext } from "../../../src/storage/storage.ts";
import { faultyStorage } from "../../helpers/faulty-storage.ts";
import {
  createOne,
  OTHER_REPOSITORY,
  openSite,
  swapRepository,
  withFaults,
  withStorages,
} from "../../helpers/open-site.ts";

function check(operations: Operations, name = "local"): Promise<StorageCheck> {
  return operations.checkStorage({ name });
}

function outcomeOf({ results }: StorageCheck, what: string): ProbeResult | undefined {
  return results.find((result) => result.what === what);
}

const GONE = new BackupctlError("STORAGE_FAILED", "the connection is gone");

/** Storages that do one thing wrong; what finds it, and what it says. */
const WRONG: readonly (readonly [what: string, detail: RegExp, change: (storage: Storage) => Partial<Storage>])[] = [
  [
    "write",
    /it says 2 bytes, not 35/,
    (storage) => ({ put: async (...given) => ({ ...(await storage.put(...given)), sizeBytes: 2 }) }),
  ],
  [
    "read",
    /other bytes than were written/,
    (storage) => ({
      get: (key, range = key.endsWith("/small") ? { offset: 0, length: 12 } : undefined, options) =>
        storage.get(key, range, options),
    }),
  ],
  [
    "read a range",
    /other bytes than asked for/,
    (storage) => ({ get: (key, _range, options) => storage.get(key, undefined, options) }),
  ],
  [
    "list at once",
    /removed is still listed/,
    (storage) => {
      let removals = 0;
      return { remove: async (key) => (removals++ === 0 ? undefined : storage.remove(key)) };
    },
  ],
  ["refuse to overwrite", /was overwritten/, (storage) => ({ put: overwriting(storage, "small") })],
  ["refuse to overwrite", /connection is gone/, (storage) => ({ put: overwriting(storage, "small", GONE) })],
  ["two writers at once", /both of two writers/, (storage) => ({ put: overwriting(storage, "raced") })],
  ["two writers at once", /connection is gone/, (storage) => ({ put: overwriting(storage, "raced", GONE) })],
  ["what only this type has", /connection is gone/, () => ({ probe: brokenProbe })],
  [
    "delete",
    /objects are there still/,
    (storage) => ({ remove: async (key) => (key.endsWith("/small") ? undefined : storage.remove(key)) }),
  ],
];

/** A put that says of a taken name that all is well, or fails otherwise than the port says. */
function overwriting(storage: Storage, name: string, failure?: Error): Storage["put"] {
  return async (key, bytes, options) => {
    try {
      return await storage.put(key, bytes, options);
    } catch (error) {
      if (!key.endsWith(`/${name}`)) throw error;
      if (failure !== undefined) throw failure;
      return { key, sizeBytes: bytes.length, modifiedAt: new Date() };
    }
  };
}

async function* brokenProbe(): AsyncIterable<ProbeResult> {
  yield { what: "locks", outcome: "works" };
  throw GONE;
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

  it("fails a place that holds another repository than this host's backups, and says what create does then", async () => {
    const site = await openSite();
    await createOne(site);
    swapRepository(site.repositoryDirectory);

    const result = await check(await site.reopen());

    expect(result.passed).toBe(false);
    expect(outcomeOf(result, "repository")).toMatchObject({
      outcome: "fails",
      detail: expect.stringMatching(
        new RegExp(`belongs to repository ${OTHER_REPOSITORY}, not .*\\. Until then .backupctl create`),
      ),
    });
  });

  it("passes a place that is to become a storage, and says that it is none yet", async () => {
    const site = await openSite({ replica: true });
    rmSync(join(site.directory, "replica/backupctl.json"));

    const result = await check(site.operations, "second");

    expect(result.passed).toBe(true);
    expect(outcomeOf(result, "repository")).toMatchObject({
      outcome: "absent",
      detail: expect.stringMatching(/holds no repository yet/),
    });
  });

  it("passes such a place also where there is no catalog to be had", async () => {
    const site = await openSite();
    await site.operations.close();
    rmSync(site.session.loaded.config.stateDir, { recursive: true });
    rmSync(join(site.repositoryDirectory, "backupctl.json"));

    const result = await check(await site.reopen(), "local");

    expect(result.passed).toBe(true);
    expect(outcomeOf(result, "repository")).toMatchObject({ outcome: "absent" });
  });

  it("fails a place that holds nothing of the backups that the catalog knows there", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    const replica = join(site.directory, "replica");
    rmSync(replica, { recursive: true });
    mkdirSync(replica);

    const result = await check(await site.reopen(), "second");

    expect(result.passed).toBe(false);
    expect(outcomeOf(result, "repository")).toMatchObject({
      outcome: "fails",
      detail: expect.stringMatching(
        /mount its disk.* The catalog knows backups there\. Until then .* leaves it out\.$/,
      ),
    });
  });

  it("tells each step when it is known", async () => {
    const site = await openSite();
    const told: string[] = [];

    const { results } = await site.operations.checkStorage({ name: "local", onResult: ({ what }) => told.push(what) });

    expect(told).toEqual(results.map(({ what }) => what));
    expect(told).toContain("upload");
  });

  it("reads back only what was put, when the others are put too, and leaves none of it there", async () => {
    const site = await openSite();
    const operations = await withStorages(site, (storage) =>
      changed(storage, {
        put: async (key, ...given) => {
          if (key.endsWith("/load-2")) throw GONE;
          if (key.endsWith("/load-3")) await new Promise((resolve) => setTimeout(resolve, 300));
          return storage.put(key, ...given);
        },
      }),
    );

    const result = await check(operations);

    expect(outcomeOf(result, "upload")).toMatchObject({ outcome: "fails", detail: expect.stringMatching(/is gone/) });
    expect(outcomeOf(result, "download")).toMatchObject({ outcome: "works" });
    expect(outcomeOf(result, "delete")).toMatchObject({ outcome: "works" });
    expect(readdirSync(site.repositoryDirectory, { recursive: true }).join()).not.toContain("load-");
  });

  it("hints at no other check where a step fails of which the adapter knows nothing more", async () => {
    const site = await openSite();
    const operations = await withFaults(site, (storage) => void storage.onCall("stat", "every").fail(GONE));

    const { detail } = outcomeOf(await check(operations), "latency") ?? {};

    expect(detail).toMatch(/connection is gone\. Look whether the storage is up/);
    expect(detail).not.toContain("storage check");
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
      storage.onKey("get", /load-/).corrupt((bytes) => bytes.fill(bytes.readUInt8(100) ^ 1, 100, 101));
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

  it.each(WRONG)("finds with %s that %s", async (what, detail, change) => {
    const site = await openSite();
    const operations = await withStorages(site, (storage) => Object.assign(faultyStorage(storage), change(storage)));

    const result = await check(operations);

    expect(result.passed).toBe(false);
    expect(result.results.filter(({ outcome }) => outcome === "fails")).toEqual([
      { what, outcome: "fails", detail: expect.stringMatching(detail) },
    ]);
  });

  it("passes a login that may not delete, and warns of what stays", async () => {
    const site = await openSite();
    const left = join(site.repositoryDirectory, "storage-check/old/small");
    mkdirSync(dirname(left), { recursive: true });
    writeFileSync(left, "x");
    utimesSync(left, 0, 0);
    const denied = new BackupctlError("STORAGE_DENIED", "the login may not delete");
    const operations = await withFaults(site, (storage) => void storage.onCall("remove", "every").fail(denied));

    const result = await check(operations);

    expect(result.passed).toBe(true);
    expect(outcomeOf(result, "leavings")).toMatchObject({ outcome: "absent" });
    expect(outcomeOf(result, "delete")).toMatchObject({
      outcome: "absent",
      detail: expect.stringContaining("backups do without it"),
    });
    expect(site.warnings).toEqual([
      expect.stringMatching(/^objects of the check below storage-check\/.* stay: the login/),
    ]);
  });

  it("finds that nothing can be removed for another reason", async () => {
    const site = await openSite();
    const operations = await withFaults(site, (storage) => void storage.onCall("remove", "every").fail(GONE));

    expect(outcomeOf(await check(operations), "delete")).toMatchObject({ outcome: "fails" });
  });

  it("says what a storage has not, which backups do without", async () => {
    const site = await openSite();
    const capabilities = { local: false, exclusiveNames: false };
    const operations = await withStorages(site, (storage) =>
      Object.assign(faultyStorage(storage), { capabilities, space: async () => ({}) }),
    );

    const result = await check(operations);

    expect(result.passed).toBe(true);
    expect(result.results.flatMap(({ what, outcome }) => (outcome === "absent" ? [what] : []))).toEqual([
      "two writers at once",
      "free space",
    ]);
  });

  it("counts what really lies there, whether the catalog knows it or not", async () => {
    const site = await openSite();
    mkdirSync(join(site.repositoryDirectory, "full/daily"), { recursive: true });
    writeFileSync(join(site.repositoryDirectory, "full/daily/unknown"), Buffer.alloc(5 * 1024 * 1024));

    const contents = outcomeOf(await check(site.operations), "contents");

    expect(contents?.detail).toMatch(/^\d+ objects, 5\.\d MiB$/);
  });

  it("moves one object only over a slow line, and counts no longer than half a minute", async () => {
    const site = await openSite();
    mkdirSync(join(site.repositoryDirectory, "full"));
    for (let n = 0; n < 5; n++) writeFileSync(join(site.repositoryDirectory, `full/object-${n}`), "x");
    let nowMs = 0;
    const operations = await site.reopen({
      clock: {
        now: () => new Date(),
        monotonicMs: () => {
          nowMs += 11_000;
          return nowMs;
        },
      },
    });

    const result = await check(operations);

    for (const what of ["upload", "download"]) expect(outcomeOf(result, what)?.detail).toMatch(/^\S+ MiB\/s alone$/);
    expect(outcomeOf(result, "contents")?.detail).toMatch(/^[1-3] objects, .* and more than can be counted/);
  });

  it.each([
    [3_000, "works", "seconds ahead of this host's"],
    [-3_000, "works", "behind this host's"],
    [-3_600_000, "fails", "behind this host's"],
  ])("tells a clock that is %i ms ahead", async (aheadMs, outcome, detail) => {
    const site = await openSite();
    const clock = { now: () => new Date(Date.now() - aheadMs), monotonicMs: () => performance.now() };

    const found = outcomeOf(await check(await site.reopen({ clock })), "clock");

    expect(found).toMatchObject({ outcome, detail: expect.stringContaining(detail) });
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

    const result = await check(site.operations);

    expect(readdirSync(join(site.repositoryDirectory, "storage-check"))).toEqual(["recent"]);
    expect(outcomeOf(result, "leavings")).toEqual({
      what: "leavings",
      outcome: "works",
      detail:
        "1 object of an earlier check removed; 1 object of a check that was killed, or runs now: a check removes them once they are a day old",
    });
    rmSync(join(site.repositoryDirectory, "storage-check"), { recursive: true });
    expect(outcomeOf(await check(site.operations), "leavings")?.detail).toBe("none of an earlier check");
  });

  it("says which limit of the config it was measured through", async () => {
    const site = await openSite();
    const { loaded } = site.session;
    const limit = { uploadBytesPerSecond: 1024 ** 3 };
    const storages = loaded.config.storages.map((each) => ({ ...each, limits: { ...each.limits, ...limit } }));
    const limited = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, storages } } });

    const result = await check(limited);

    expect(outcomeOf(result, "upload")?.detail).toMatch(/at once: limit_upload allows 1\.0 GiB\/s on average$/);
    expect(outcomeOf(result, "download")?.detail).not.toContain("limit");
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
