import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, it, onTestFinished } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { WorkerPool } from "../../../src/format/workers/pool.ts";
import { flipped } from "../../helpers/bytes.ts";
import type { FaultyStorage } from "../../helpers/faulty-storage.ts";
import { addFile, createOne, type OpenSite, objectsIn, openSite, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

const away = new BackupctlError("STORAGE_FAILED", "the disk is gone");

const WITHOUT_REPLICA = [
  { storage: "local", state: "complete" },
  { storage: "second", state: "pending" },
];

function only(name: string, plan: (storage: FaultyStorage) => void) {
  return (storage: FaultyStorage): void => {
    if (storage.name === name) plan(storage);
  };
}

/** Folders of backups in a storage of the site. */
function backupsIn(site: OpenSite, storage: string): readonly string[] {
  const names = readdirSync(join(site.directory, storage), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith("/metadata.json"));
}

describe("a backup with a replica", () => {
  const faults: readonly [string, (storage: FaultyStorage) => void][] = [
    ["can't be written to", (storage) => void storage.onKey("put", /root/).fail(away)],
    [
      "keeps less than it was given",
      (storage) => void storage.onKey("put", /root/).corrupt((bytes) => bytes.subarray(1)),
    ],
    ["does not list what it was given", (storage) => void storage.onKey("list", /-[0-9a-f]{8}$/).fail(away)],
  ];

  it.each(faults)("that %s is made without it, and says so", async (_, plan) => {
    const site = await openSite({ replica: true });
    const operations = await withFaults(site, only("second", plan));

    const { warnings } = await operations.create(NO_CHOICES);

    expect((await operations.show("latest")).copies).toMatchObject(WITHOUT_REPLICA);
    expect([...warnings, ...site.warnings].join("\n")).toContain("second");
    expect(backupsIn(site, "replica")).toEqual([]);
  });

  it.each([false, true])(
    "leaves nothing in a replica that it dropped when it fails later (away still: %s)",
    async (still) => {
      const site = await openSite({ replica: true });
      const operations = await withFaults(site, (storage) => {
        if (storage.name === "local") return void storage.onKey("put", /metadata\.json/).fail(away);
        storage.onKey("put", /root/).fail(away);
        if (still) storage.onCall("remove", "every").fail(away);
      });
      const inReplica = () => readdirSync(join(site.directory, "replica")).filter((name) => name !== "backupctl.json");

      await expect(operations.create(NO_CHOICES)).rejects.toThrow("the disk is gone");
      expect(inReplica()).toEqual(still ? ["full"] : []);
      const { id } = await createOne(site, { storages: ["local"] });

      expect(inReplica().filter((name) => name !== "recovery")).toEqual([]);
      expect(backupsIn(site, "repository").join()).toContain(id.slice(0, 8));
      expect(site.warnings.filter((line) => line.includes("lies in storage"))).toHaveLength(still ? 1 : 0);
    },
  );

  it("that stalls is not waited for by a run that fails, and has nothing of it", async () => {
    const sources = `  lost: {engine: command, command: [sh, -c, "head -c 20000000 /dev/urandom; exit 1"]}`;
    const site = await openSite({ replica: true, sources });
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onKey("put", /lost/).hang()),
    );

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({ code: "SOURCE_FAILED" });

    expect(readdirSync(join(site.directory, "replica"))).toEqual(["backupctl.json"]);
    expect((await operations.list({ limit: 1, offset: 0 })).backups[0]?.status).toBe("failed");
  });

  it("that is not asked for is left out", async () => {
    const site = await openSite({ replica: true });

    const only = await site.create({ storages: ["local"] });
    const both = await site.create({ storages: ["second"] });

    expect(only.storages).toEqual([{ name: "local", state: "complete" }]);
    expect(both.storages.map(({ name }) => name)).toEqual(["local", "second"]);
  });

  it("that lacks the full one gets it before the incremental", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    rmSync(join(site.directory, "replica", "full"), { recursive: true });
    addFile(site);

    const { warnings, storages } = await site.create({ mode: "incremental" });

    expect(storages.map(({ state }) => state)).toEqual(["complete", "complete"]);
    expect(backupsIn(site, "replica")).toEqual(backupsIn(site, "repository"));
    expect(warnings.join("\n")).toContain("which this one builds on, is not whole there");
  });
});

describe("no backup is made, and nothing of it left, where the storage", () => {
  it("keeps less than it was given", async () => {
    const site = await openSite();
    const operations = await withFaults(site, (storage) =>
      storage.onKey("put", /SHA256SUMS/).corrupt((bytes) => bytes.subarray(1)),
    );

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringMatching(/SHA256SUMS in storage "local" has \d+ bytes after its put/),
    });
    expect(objectsIn(site)).toEqual([]);
  });

  it("gets an object from somebody else meanwhile, which stays", async () => {
    const site = await openSite();
    let directory = "";
    const operations = await withFaults(site, (storage) =>
      storage.onKey("put", /keys-/).meanwhile(() => {
        const { key = "" } = storage.calls.find(({ key: called }) => called.endsWith("SHA256SUMS")) ?? {};
        directory = join(site.repositoryDirectory, key, "..");
        writeFileSync(join(directory, "strange.tree.zst.00000000"), "");
      }),
    );

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({
      message: expect.stringContaining("was not written by this run"),
    });
    expect(readdirSync(directory)).toEqual(["strange.tree.zst.00000000"]);
  });

  it.each([
    ["loses an object", /www\.tree\.root/, "is missing in storage"],
    ["loses the sums", /SHA256SUMS/, "SHA256SUMS is missing"],
  ])("%s meanwhile", async (_, lost, message) => {
    const site = await openSite();
    const operations = await withFaults(site, (storage) =>
      storage.onKey("put", /keys-/).meanwhile(() => {
        const { key = "" } = storage.calls.find(({ key: called }) => lost.test(called)) ?? {};
        rmSync(join(site.repositoryDirectory, key));
      }),
    );

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({ message: expect.stringContaining(message) });
    expect(objectsIn(site)).toEqual([]);
  });

  it("loses the sums at the last moment", async () => {
    const site = await openSite();
    const operations = await withFaults(site, (storage) =>
      storage.onKey("stat", /SHA256SUMS/).meanwhile(() => {
        const { key = "" } = storage.calls.find(({ key: called }) => called.endsWith("SHA256SUMS")) ?? {};
        rmSync(join(site.repositoryDirectory, key));
      }),
    );

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("SHA256SUMS is missing in storage"),
    });
    expect(objectsIn(site)).toEqual([]);
  });

  it("loses the backup that it builds on meanwhile", async () => {
    const site = await openSite();
    await createOne(site);
    addFile(site);
    const directory = await site.backupDirectory();
    const operations = await withFaults(site, (storage) =>
      storage.onKey("put", /metadata\.json/).meanwhile(() => rmSync(join(directory, "metadata.json"))),
    );

    await expect(operations.create({ ...NO_CHOICES, mode: "incremental" })).rejects.toMatchObject({
      message: expect.stringContaining("was deleted meanwhile"),
    });
    expect(backupsIn(site, "repository")).toEqual([]);
  });
});

it("what a failed run could not remove is said, and removed by the next run", async () => {
  const site = await openSite();
  const operations = await withFaults(site, (storage) => {
    storage.onKey("put", /metadata\.json/).fail(away);
    storage.onCall("remove", "every").fail(away);
  });

  await expect(operations.create(NO_CHOICES)).rejects.toThrow("the disk is gone");
  const left = objectsIn(site);
  const { id } = await createOne(site);

  expect(left).not.toEqual([]);
  expect(site.warnings.join("\n")).toMatch(
    /objects of the failed run in .* could not be removed \(the disk is gone\); the next/,
  );
  expect(objectsIn(site).filter((key) => !key.includes(id.slice(0, 8)))).toEqual([]);
});

describe("a storage that lets go of nothing", () => {
  const denied = new BackupctlError("STORAGE_DENIED", 'storage "local" permits no delete');
  const statuses = async (site: OpenSite) =>
    (await site.operations.list({ limit: 9, offset: 0 })).backups.map(({ status }) => status);

  it.each([/www\.tree\.root/, /metadata\.json/])(
    "keeps what a run had put that failed at %s, and takes the next",
    async (at) => {
      const site = await openSite();
      const failing = await withFaults(site, (storage) => {
        storage.onKey("put", at).fail(away);
        storage.onCall("remove", "every").fail(denied);
      });
      const operations = await withFaults(site, (storage) => void storage.onCall("remove", "every").fail(denied));

      await expect(failing.create(NO_CHOICES)).rejects.toThrow("the disk is gone");
      const { backup } = await operations.create(NO_CHOICES);

      expect(backup?.status).toBe("completed");
      expect(await statuses(site)).toEqual(["completed", "failed"]);
      expect(site.warnings.filter((line) => line.includes("lies in storage"))).toHaveLength(1);
      await createOne(site);
      const ofFailed = (await site.operations.list({ limit: 9, offset: 0 })).backups.find(
        ({ status }) => status === "failed",
      );
      expect(objectsIn(site).filter((key) => key.includes(ofFailed?.id.slice(0, 8) ?? "none"))).toEqual([]);
    },
  );

  it("keeps what a source had put that failed, beside the others'", async () => {
    const sources = `  lost: {engine: command, command: [sh, -c, "head -c 40000000 /dev/urandom; exit 1"]}
  www: {engine: files, paths: ["{dir}/www"]}`;
    const site = await openSite({ sources, replica: true });
    const operations = await withFaults(site, (storage) => void storage.onCall("remove", "every").fail(denied));

    const { backup, storages, warnings } = await operations.create(NO_CHOICES);

    expect(backup?.status).toBe("partial");
    expect(storages.map(({ state }) => state)).toEqual(["complete", "complete"]);
    expect(warnings.join("\n")).toMatch(/what source "lost" had stored in \S+ before it failed stays there/);
    const verified = await operations.verify({ all: true, deep: false, quick: false, components: [] });
    expect(verified).toMatchObject({ passed: true, backups: [{ issues: [] }] });
  });

  it("keeps what a source had put that failed after it was left behind, and says so", async () => {
    const sources = `  lost: {engine: command, command: [sh, -c, "head -c 40000000 /dev/urandom; exit 1"]}
  www: {engine: files, paths: ["{dir}/www"]}`;
    const site = await openSite({ sources, replica: true });
    const operations = await withFaults(site, (storage) => {
      if (storage.name !== "second") return;
      storage.onKey("put", /lost/).failAfterVisible(away);
      storage.onCall("remove", "every").fail(denied);
    });

    const { storages } = await operations.create(NO_CHOICES);

    expect(storages.map(({ state }) => state)).toEqual(["complete", "complete"]);
    expect(site.warnings.join("\n")).toContain('storage "second" keeps what its backup has not');
  });
});

it("what the catalog could not be told of a failed run is said as that", async () => {
  const site = await openSite();
  const { state } = await site.context.repository();
  const operations = await withFaults(site, (storage) =>
    storage.onKey("put", /metadata\.json/).meanwhile(() => {
      const catalog = new Sqlite(state.catalog);
      catalog.exec("CREATE TRIGGER broken BEFORE UPDATE ON backups BEGIN SELECT RAISE(ABORT, 'no more room'); END");
      catalog.close();
      throw away;
    }),
  );

  await expect(operations.create(NO_CHOICES)).rejects.toThrow("the disk is gone");

  expect(site.warnings.join("\n")).toMatch(/^the catalog could not be told that the run failed \(.*no more room/m);
  expect(objectsIn(site)).toEqual([]);
});

it("a backup that does not read back is said to be damaged where it is read back", async () => {
  const site = await openSite();
  const operations = await withFaults(site, (storage) =>
    storage.onKey("get", /www\.tree\.zst/).corrupt((bytes) => flipped(bytes, bytes.length * 8 - 100)),
  );

  await expect(operations.create({ ...NO_CHOICES, verify: "full" })).rejects.toMatchObject({
    code: "BACKUP_VERIFICATION_FAILED",
    message: expect.stringContaining("does not read back"),
  });
});

it("a bit that memory loses before a block is stored ends the run: nothing of it is stored", async () => {
  const site = await openSite();
  const { run } = WorkerPool.prototype;
  onTestFinished(() => void Object.assign(WorkerPool.prototype, { run }));
  WorkerPool.prototype.run = function (task, transfer) {
    if (task.kind === "seal-block") task.payload.fill((task.payload[20] ?? 0) ^ 1, 20, 21);
    return run.call(this, task, transfer) as ReturnType<typeof run<typeof task>>;
  };

  await expect(site.operations.create(NO_CHOICES)).rejects.toMatchObject({
    code: "BACKUP_VERIFICATION_FAILED",
    message: expect.stringContaining("what was about to be stored is not what was read"),
    hint: expect.stringContaining("memory"),
  });

  expect(objectsIn(site)).toEqual([]);
});

it("a storage that fails at reading back keeps no copy from being completed", async () => {
  const site = await openSite({ replica: true });
  const storages = new Map<string, FaultyStorage>();
  const operations = await withFaults(site, (storage) => {
    storages.set(storage.name, storage);
    if (storage.name !== "second") return;
    storage.onCall("put", 1).fail(away);
    storage.onKey("put", /metadata/).meanwhile(() => storages.get("local")?.onCall("get", "every").fail(away));
  });

  await expect(operations.create({ ...NO_CHOICES, verify: "full" })).rejects.toThrow("the disk is gone");

  expect((await site.operations.show("latest")).copies.map(({ state }) => state)).toEqual(["complete", "complete"]);
});

it("a backup of several sources that all fail names each", async () => {
  const sources = `  a: {engine: command, command: ["false"]}\n  b: {engine: command, command: ["false"]}`;
  const site = await openSite({ sources });

  await expect(site.create()).rejects.toMatchObject({
    code: "BACKUP_FAILED",
    message: expect.stringMatching(/all 2 sources failed: .*"a".*"b"/s),
  });
});

describe("a note", () => {
  it("is written where it can be, and the storage that refuses it is named", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onKey("put", /notes-/).fail(away)),
    );

    expect((await operations.hold(backup.id, "audit")).hold).toBe("audit");
    expect(site.warnings.join("\n")).toContain('could not be written to storage "second"');
  });

  it("that no storage takes is not written", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const operations = await withFaults(site, (storage) => storage.onKey("put", /notes-/).fail(away));

    await expect(operations.hold(backup.id, "audit")).rejects.toThrow("the disk is gone");
    expect((await site.operations.show(backup.id)).hold).toBeUndefined();
  });

  it("goes to the storages that can be reached", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    rmSync(join(site.directory, "replica"), { recursive: true });

    await site.operations.hold(backup.id, "audit");

    expect(site.warnings.join("\n")).toContain('storage "second" is left out');
  });

  it("of a backup that no storage has any longer is refused", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    rmSync(await site.backupDirectory(), { recursive: true });

    await expect(site.operations.hold(backup.id, "audit")).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });
});
