import { readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import type { FaultyStorage } from "../../helpers/faulty-storage.ts";
import { addFile, createOne, type OpenSite, openSite, withFaults, withStorages } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

const away = new BackupctlError("STORAGE_FAILED", "the line is cut");

const REPLICAS = { replica: true, storages: { third: "replica" } } as const;

function only(name: string, plan: (storage: FaultyStorage) => void) {
  return (storage: FaultyStorage): void => {
    if (storage.name === name) plan(storage);
  };
}

/** As text, from the primary's folder on: the same where the copies are. */
function objectsIn(site: OpenSite, folder: string): readonly string[] {
  return readdirSync(join(site.directory, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(site.directory, folder).length + 1))
    .filter((key) => key.split("/").length === 5)
    .sort();
}

const statesOf = ({ storages }: { readonly storages: readonly { readonly name: string; readonly state: string }[] }) =>
  Object.fromEntries(storages.map(({ name, state }) => [name, state]));

describe("a replica that is left behind", () => {
  it("because it failed once is completed in the same run", async () => {
    const site = await openSite(REPLICAS);
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onCall("put", 2).fail(away)),
    );

    const result = await operations.create(NO_CHOICES);

    expect(statesOf(result)).toEqual({ local: "complete", second: "complete", third: "complete" });
    expect(objectsIn(site, "replica")).toEqual(objectsIn(site, "repository"));
    expect(objectsIn(site, "third")).toEqual(objectsIn(site, "repository"));
    expect(result.warnings.join("\n")).toContain('storage "second" was left behind (the line is cut)');
    expect((await site.operations.verify({ ...QUICK, reference: "latest", storage: "second" })).passed).toBe(true);
  });

  it("because it tries again for long is completed by what it takes then", async () => {
    const site = await openSite({ replica: true });
    let outage = true;
    const operations = await withStorages(site, (storage) =>
      storage.name === "second" ? retryingWhile(storage, () => outage) : storage,
    );

    const making = operations.create({ ...NO_CHOICES, onProgress: () => undefined });
    setTimeout(() => {
      outage = false;
    }, 300);
    const result = await making;

    expect(statesOf(result)).toEqual({ local: "complete", second: "complete" });
    expect(objectsIn(site, "replica")).toEqual(objectsIn(site, "repository"));
  });

  it("and fails again is pending, and said by the next run", async () => {
    const site = await openSite({ replica: true });
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onKey("put", /root/).fail(away)),
    );

    expect(statesOf(await operations.create(NO_CHOICES))).toEqual({ local: "complete", second: "pending" });
    const next = await site.create();

    expect(statesOf(next)).toEqual({ local: "complete", second: "complete" });
    expect(next.warnings).toEqual([expect.stringContaining('storage "second" lacks 1 earlier backup')]);
  });

  it("because it is full is not tried again, and said once, with what makes room", async () => {
    const site = await openSite(REPLICAS);
    let puts = 0;
    const operations = await withStorages(site, (storage) =>
      storage.name === "second"
        ? changed(storage, {
            put: async (key, bytes, options) => {
              if (!key.includes("pack") && !/\.\d{8}$/.test(key)) return storage.put(key, bytes, options);
              puts += 1;
              throw new BackupctlError("INSUFFICIENT_STORAGE", `storage "second" cannot write: QuotaExceeded`, {
                hint: "Raise the quota.",
              });
            },
          })
        : storage,
    );

    const result = await operations.create(NO_CHOICES);

    expect(statesOf(result)).toEqual({ local: "complete", second: "pending", third: "complete" });
    expect(result.warnings).toEqual([
      'storage "second" lacks this backup (it cannot write: QuotaExceeded). Raise the quota. Then run `backupctl replicate`',
    ]);
    expect(puts).toBe(1);
  });

  it("is said to be with each that is, also for one reason", async () => {
    const site = await openSite(REPLICAS);
    const operations = await withFaults(site, (storage) => {
      if (storage.name !== "local") storage.onCall("put", 2).fail(away);
    });

    expect((await operations.create(NO_CHOICES)).warnings).toEqual([
      'storage "second" was left behind (the line is cut): completing its copy now',
      'storage "third" was left behind (the line is cut): completing its copy now',
    ]);
  });

  it("because it was away gets the backups that an incremental one builds on with it", async () => {
    const site = await openSite({ replica: true });
    const [replica, hidden] = ["replica", "hidden"].map((name) => join(site.directory, name));
    renameSync(replica ?? "", hidden ?? "");
    const without = await (await site.reopen()).create(NO_CHOICES);
    renameSync(hidden ?? "", replica ?? "");
    addFile(site);

    const result = await (await site.reopen()).create({ ...NO_CHOICES, mode: "incremental" });

    expect(result.warnings).toEqual([
      expect.stringMatching(/^storage "second" is left for the end of this run: .* is not whole there/),
    ]);
    expect(statesOf(without)).toEqual({ local: "complete", second: "pending" });
    expect(statesOf(result)).toEqual({ local: "complete", second: "complete" });
    expect(objectsIn(site, "replica")).toEqual(objectsIn(site, "repository"));
    expect((await site.operations.show(without.backup?.id ?? "")).copies.map(({ state }) => state)).toEqual([
      "complete",
      "complete",
    ]);
  });

  it("has nothing of a source that failed after it was left behind", async () => {
    const sources = `  www: {engine: files, paths: ["{dir}/www"]}
  lost: {engine: command, command: [sh, -c, "head -c 100000 /dev/urandom; exit 1"]}`;
    const site = await openSite({ replica: true, sources });
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onKey("put", /lost/).failAfterVisible(away)),
    );

    const result = await operations.create(NO_CHOICES);

    expect(result.backup?.status).toBe("partial");
    expect(statesOf(result)).toEqual({ local: "complete", second: "complete" });
    expect(objectsIn(site, "replica")).toEqual(objectsIn(site, "repository"));
  });
});

describe("a replica that fails once metadata.json lies in it", () => {
  it("neither ends the run nor ruins the primary's backup", async () => {
    const site = await openSite({ replica: true });
    await site.create();
    addFile(site);
    const operations = await withFaults(
      site,
      only("second", (storage) => {
        storage.onKey("put", /metadata\.json/).meanwhile(() => void storage.onCall("stat", "every").fail(away));
      }),
    );

    const result = await operations.create({ ...NO_CHOICES, mode: "incremental" });

    expect(result.warnings.join("\n")).toContain('storage "second" was left behind (the line is cut)');
    expect(result.backup?.status).toBe("completed");
    expect((await site.operations.verify({ ...QUICK, reference: "latest" })).passed).toBe(true);
    await site.operations.replicate(ALL);
    expect(objectsIn(site, "replica")).toEqual(objectsIn(site, "repository"));
  });

  it("is pending as long as it is away", async () => {
    const site = await openSite({ replica: true });
    await site.create();
    addFile(site);
    const operations = await withFaults(
      site,
      only("second", (storage) => {
        storage.onKey("put", /metadata\.json/).meanwhile(() => {
          for (const call of ["stat", "list", "put", "get"] as const) storage.onCall(call, "every").fail(away);
        });
      }),
    );

    const result = await operations.create({ ...NO_CHOICES, mode: "incremental" });

    expect(statesOf(result)).toEqual({ local: "complete", second: "pending" });
  });

  it("because it has lost what the backup builds on gets that again", async () => {
    const site = await openSite({ replica: true });
    await site.create();
    const first = (await site.backupDirectory()).replace(site.repositoryDirectory, join(site.directory, "replica"));
    addFile(site);
    const operations = await withFaults(
      site,
      only("second", (storage) => {
        storage.onKey("put", /metadata\.json/).meanwhile(() => rmSync(first, { recursive: true, force: true }));
      }),
    );

    const result = await operations.create({ ...NO_CHOICES, mode: "incremental" });

    expect(result.warnings.join("\n")).toContain("was deleted meanwhile");
    expect(result.backup?.status).toBe("completed");
    await site.operations.replicate(ALL);
    expect(objectsIn(site, "replica")).toEqual(objectsIn(site, "repository"));
  });
});

describe("a primary that fails in the middle", () => {
  const plan = only("local", (storage) => void storage.onKey("put", /root/).fail(away));

  it("leaves the backup to a replica that has all", async () => {
    const site = await openSite(REPLICAS);
    const operations = await withFaults(site, plan);

    const result = await operations.create({ ...NO_CHOICES, verify: "full" });

    expect(result.backup?.status).toBe("completed");
    expect(statesOf(result)).toEqual({ local: "pending", second: "complete", third: "complete" });
    expect(result.warnings).toEqual([
      'storage "local" failed (the line is cut): the backup goes on in "second"',
      'storage "local" lacks this backup. See what works and what does not with `backupctl storage check local`. Then run `backupctl replicate`',
    ]);
    expect((await operations.verify({ ...QUICK, reference: "latest", storage: "second" })).passed).toBe(true);

    const replicated = await site.operations.replicate(ALL);
    expect(replicated.storages.map(({ lag }) => lag.backups)).toEqual([0, 0, 0]);
    expect(objectsIn(site, "repository")).toEqual(objectsIn(site, "replica"));
    expect((await site.operations.verify({ ...QUICK, reference: "latest" })).passed).toBe(true);
  });

  it("is no parent for the next one until it has the copy", async () => {
    const site = await openSite({ replica: true });
    await (await withFaults(site, plan)).create(NO_CHOICES);

    expect((await site.operations.planCreate({ ...NO_CHOICES, mode: "incremental" })).mode).toBe("full");
    await site.operations.replicate(ALL);
    expect((await site.operations.planCreate({ ...NO_CHOICES, mode: "incremental" })).mode).toBe("incremental");
  });

  it("ends a run whose replica has not got all either, and leaves nothing", async () => {
    const site = await openSite({ replica: true });
    const operations = await withFaults(site, (storage) => {
      if (storage.name === "local") storage.onKey("put", /SHA256SUMS/).fail(away);
      else storage.onKey("put", /root/).fail(away);
    });

    await expect(operations.create(NO_CHOICES)).rejects.toThrow("the line is cut");
    expect([...objectsIn(site, "repository"), ...objectsIn(site, "replica")]).toEqual([]);
  });
});

describe("create.require", () => {
  const more = "create: {require: [second]}";

  it("makes a run fail that has no copy there, and says where its backup is", async () => {
    const site = await openSite({ replica: true, more });
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onKey("put", /root/).fail(away)),
    );

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({
      code: "BACKUP_FAILED",
      exitCode: 1,
      message: expect.stringMatching(/^backup \S+ is complete in "local", and not in "second", which create.require/),
      hint: expect.stringContaining("backupctl replicate"),
    });
    expect(await site.operations.show("latest")).toMatchObject({
      status: "completed",
      copies: [
        { storage: "local", state: "complete" },
        { storage: "second", state: "pending" },
      ],
    });
  });

  it("is content with a copy that was completed afterwards", async () => {
    const site = await openSite({ replica: true, more });
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onCall("put", 1).fail(away)),
    );

    expect(statesOf(await operations.create(NO_CHOICES))).toMatchObject({ second: "complete" });
  });

  it("refuses a run that is told to leave the storage out", async () => {
    const site = await openSite({ ...REPLICAS, more });

    await expect(site.create({ storages: ["third"] })).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining('leaves out "second"'),
    });
  });
});

describe("before anything is read", () => {
  const freeBytes = (bytes: Readonly<Record<string, number>>) => (storage: Storage) => {
    const free = bytes[storage.name];
    return free === undefined ? storage : changed(storage, { space: async () => ({ freeBytes: free }) });
  };

  it("a replica whose login is refused is told, and left out", async () => {
    const site = await openSite({ replica: true });
    const operations = await withStorages(site, (storage) => {
      if (storage.name === "second") throw new BackupctlError("STORAGE_DENIED", "the login is wrong");
      return storage;
    });

    const result = await operations.create(NO_CHOICES);

    expect(statesOf(result)).toEqual({ local: "complete", second: "pending" });
    expect(result.warnings[0]).toBe('storage "second" takes no part in this run: the login is wrong');
    expect(site.warnings[0]).toBe(result.warnings[0]);
  });

  it.each([
    ["opened", (storage: Storage) => (storage.name === "second" ? Promise.reject(new TypeError("a bug")) : storage)],
    [
      "written to",
      (storage: Storage) =>
        storage.name === "second" ? changed(storage, { put: () => Promise.reject(new TypeError("a bug")) }) : storage,
    ],
  ])(
    "a mistake of the program when a replica is %s ends the run, and takes the backup from no other one",
    async (_, change) => {
      const site = await openSite({ replica: true });
      const { id } = await createOne(site);

      await expect((await withStorages(site, change)).create(NO_CHOICES)).rejects.toThrow(new TypeError("a bug"));

      const { copies, id: made } = await site.operations.show("latest");
      expect(made).not.toBe(id);
      expect(copies.map(({ storage, state }) => [storage, state])).toEqual([
        ["local", "complete"],
        ["second", "pending"],
      ]);
    },
  );

  it("a run that no storage has room for is refused with what the primary has, and leaves nothing", async () => {
    const site = await openSite({ replica: true });
    const operations = await withStorages(site, freeBytes({ local: 1000, second: 1001 }));

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({
      code: "INSUFFICIENT_STORAGE",
      message: expect.stringContaining('"local" has 1000 B free'),
    });
    expect((await site.operations.list({ limit: 5, offset: 0 })).total).toBe(0);
  });

  it("what the last full backup took is the measure of a full one, not of an incremental", async () => {
    const site = await openSite();
    await createOne(site);
    addFile(site);

    const doubtful = await (await withStorages(site, freeBytes({ local: 2_500_000 }))).create(NO_CHOICES);
    const little = await withStorages(site, freeBytes({ local: 1_200_000 }));

    expect(doubtful.warnings).toEqual([expect.stringContaining("may not fit")]);
    await expect(little.create(NO_CHOICES)).rejects.toMatchObject({
      code: "INSUFFICIENT_STORAGE",
      message: expect.stringMatching(/"local" has 1\.\d M\w+ free, and the last full backup took 3/),
    });
    expect((await little.create({ ...NO_CHOICES, mode: "incremental" })).backup?.status).toBe("completed");
  });

  it("a replica without room is left out, and not filled up afterwards", async () => {
    const site = await openSite({ replica: true });
    const operations = await withStorages(site, freeBytes({ second: 1000 }));

    const result = await operations.create(NO_CHOICES);

    expect(statesOf(result)).toEqual({ local: "complete", second: "pending" });
    expect(objectsIn(site, "replica")).toEqual([]);
    expect(result.warnings.join("\n")).toMatch(/"second" takes no part in this run: .* free/);
  });

  it("replicas that don't answer are looked at for 20 seconds together", { timeout: 40_000 }, async () => {
    const site = await openSite(REPLICAS);
    await createOne(site);
    addFile(site);
    const hanging = await withFaults(site, (storage) => {
      if (storage.name === "second") storage.onCall("list", 1).hang();
      if (storage.name === "third") storage.onCall("space", 1).hang();
    });
    const started = performance.now();

    const result = await hanging.create({ ...NO_CHOICES, mode: "incremental" });

    expect(performance.now() - started).toBeLessThan(35_000);
    expect(result.warnings.slice(0, 2)).toEqual([
      'storage "second" takes no part in this run: it does not answer for 20 seconds',
      'storage "third" takes no part in this run: it does not answer for 20 seconds',
    ]);
    expect(statesOf(result)).toEqual({ local: "complete", second: "complete", third: "complete" });
  });

  it("an archive takes no part, and can't be asked to", async () => {
    const site = await openSite({ storages: { vault: "archive" } });

    expect(statesOf(await site.create())).toEqual({ local: "complete" });
    await expect(site.create({ storages: ["vault"] })).rejects.toMatchObject({
      code: "USAGE",
      hint: expect.stringContaining("replicate latest --to vault"),
    });
  });
});

const ALL = { to: [], dryRun: false, lockWaitMs: 0 };
const QUICK = { all: false, deep: false, quick: false, components: [] };

/** A storage with a retry of its own, as those over a network have. */
function retryingWhile(storage: Storage, isAway: () => boolean): Storage {
  return changed(storage, {
    put: async (key, bytes, options) => {
      while (isAway()) {
        options?.onRetry?.({ error: away, waitMs: 20 });
        await new Promise((resolve) => setTimeout(resolve, 20));
        options?.signal?.throwIfAborted();
      }
      return storage.put(key, bytes, options);
    },
  });
}
