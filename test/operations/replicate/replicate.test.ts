import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { ReplicateRequest, ReplicateResult } from "../../../src/operations/operations.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import type { FaultyStorage } from "../../helpers/faulty-storage.ts";
import { addFile, createOne, type OpenSite, openSite, withFaults, withStorages } from "../../helpers/open-site.ts";

const away = new BackupctlError("STORAGE_FAILED", "the line is cut");
const ALL: ReplicateRequest = { to: [], dryRun: false, lockWaitMs: 0 };
const QUICK = { all: false, deep: false, quick: false, components: [] };

/** The SHA-256 of each object of backups in a storage, by key. */
function hashesIn(site: OpenSite, folder: string): Readonly<Record<string, string>> {
  const root = join(site.directory, folder);
  const keys = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((key) => key.split("/").length === 5);
  const hash = (key: string) =>
    createHash("sha256")
      .update(readFileSync(join(root, key)))
      .digest("hex");
  return Object.fromEntries(keys.sort().map((key) => [key, hash(key)]));
}

/** The path of an object of the newest backup in the folder of a storage. */
async function objectOf(site: OpenSite, folder: string, name: RegExp): Promise<string> {
  const { metadata } = await site.operations.show("latest");
  const directory = join(site.directory, folder, metadata?.storage_path ?? "");
  const found = readdirSync(directory).find((each) => name.test(each));
  return join(directory, found ?? "nothing");
}

/** A site with a full backup and an incremental one, of which the replica has nothing yet. */
async function behindSite(options: Parameters<typeof openSite>[0] = {}): Promise<OpenSite> {
  const site = await openSite({ replica: true, ...options });
  await createOne(site, { storages: ["local"] });
  addFile(site);
  await createOne(site, { storages: ["local"], mode: "incremental" });
  return site;
}

function only(name: string, plan: (storage: FaultyStorage) => void) {
  return (storage: FaultyStorage): void => {
    if (storage.name === name) plan(storage);
  };
}

function of(result: ReplicateResult, name: string) {
  const found = result.storages.find((storage) => storage.name === name);
  if (found === undefined) throw new Error(`nothing is said of ${name}`);
  return found;
}

const expectSame = (site: OpenSite) => expect(hashesIn(site, "replica")).toEqual(hashesIn(site, "repository"));

describe("replicate", () => {
  it("brings a storage everything that it lacks, byte for byte, and the catalog knows", async () => {
    const site = await behindSite();

    const before = await site.operations.replicate({ ...ALL, dryRun: true });
    const result = await site.operations.replicate(ALL);

    expect(of(before, "second").lag).toMatchObject({ backups: 2, oldest: expect.stringMatching(/^20/) });
    expect(of(before, "second").lag.bytes).toBeGreaterThan(3_000_000);
    expect(of(result, "second")).toMatchObject({ failure: undefined, notCopied: [], lag: { backups: 0, bytes: 0 } });
    expect(of(result, "second").copied).toHaveLength(2);
    expectSame(site);
    const verified = await site.operations.verify({ ...QUICK, all: true, storage: "second" });
    expect(verified.passed).toBe(true);
    const { id } = await site.operations.show("latest");
    const catalog = await site.context.catalog("read");
    expect(catalog.get(id)?.copies.map(({ state }) => state)).toEqual(["complete", "complete"]);
    expect(catalog.events({ backupId: id })[0]).toMatchObject({ action: "backup:replicate" });
  });

  it("changes nothing in a dry run, and sends nothing a second time", async () => {
    const site = await behindSite();
    await site.operations.replicate({ ...ALL, dryRun: true });
    expect(hashesIn(site, "replica")).toEqual({});
    await site.operations.replicate(ALL);
    let puts = 0;
    const operations = await withFaults(site, (storage) => void storage.onCall("put", "every").meanwhile(() => puts++));

    const again = await operations.replicate(ALL);

    expect(of(again, "second")).toMatchObject({ copied: [], bytes: 0 });
    expect(puts).toBe(0);
  });

  it("copies one backup and what it builds on, to the storage that is named", async () => {
    const site = await behindSite({ storages: { vault: "archive" } });
    await createOne(site, { storages: ["local"] });
    const { metadata } = await site.operations.show("latest");
    const [, incremental] = (await site.operations.list({ limit: 5, offset: 0 })).backups;

    const result = await site.operations.replicate({ ...ALL, reference: incremental?.id, to: ["vault"] });

    expect(result.storages.map(({ name, copied }) => [name, copied.length])).toEqual([["vault", 2]]);
    expect(Object.keys(hashesIn(site, "vault")).join()).not.toContain(metadata?.id.slice(0, 8));
    expect(hashesIn(site, "replica")).toEqual({});
    expect((await site.operations.verify({ ...QUICK, reference: incremental?.id, storage: "vault" })).passed).toBe(
      true,
    );
    expect((await site.operations.replicate(ALL)).storages.map(({ name }) => name)).toEqual(["local", "second"]);
  });

  it("needs no key", async () => {
    const site = await behindSite();
    const { loaded } = site.session;
    const encryption = { ...loaded.config.encryption, enabled: false, keys: [] };
    const keyless = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, encryption } } });

    await keyless.replicate(ALL);

    expectSame(site);
    expect((await site.operations.verify({ ...QUICK, reference: "latest", storage: "second" })).passed).toBe(true);
  });

  it("brings holds and other notes that a storage missed", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    const [replica, hidden] = [join(site.directory, "replica"), join(site.directory, "hidden")];
    renameSync(replica, hidden);
    await (await site.reopen()).hold(id, "audit");
    renameSync(hidden, replica);

    await site.operations.replicate(ALL);

    expectSame(site);
  });

  it("completes a copy that has lost objects", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    rmSync(await objectOf(site, "replica", /tree\.zst/));
    truncateSync(await objectOf(site, "replica", /index/), 10);

    const result = await site.operations.replicate(ALL);

    expect(of(result, "second").copied).toHaveLength(1);
    expectSame(site);
  });

  it("copies what another host made", async () => {
    const site = await behindSite();
    const catalog = await site.context.catalog("write");
    for (const { id } of catalog.list({}).backups) catalog.remove(id);
    await createOne(site, { storages: ["local"] });

    await site.operations.replicate(ALL);

    expectSame(site);
  });

  it("refuses names that there are not, and a copy onto itself", async () => {
    const site = await openSite({ replica: true });
    const refusal = (request: Partial<ReplicateRequest>) =>
      site.operations.replicate({ ...ALL, ...request }).catch((error: unknown) => error);

    expect(await refusal({ to: ["thrid"] })).toMatchObject({ code: "STORAGE_NOT_FOUND", exitCode: 2 });
    expect(await refusal({ from: "thrid" })).toMatchObject({ code: "STORAGE_NOT_FOUND", exitCode: 2 });
    expect(await refusal({ from: "local", to: ["local"] })).toMatchObject({ code: "USAGE" });
    expect(await refusal({ reference: "ffffffff" })).toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });

  it("is one at a time", async () => {
    const site = await behindSite();
    const other = await site.reopen();
    let refused: unknown;
    const operations = await withFaults(site, (storage) =>
      storage.onKey("put", /SHA256SUMS/).meanwhile(async () => {
        refused ??= await other.replicate(ALL).catch((error: unknown) => error);
      }),
    );

    await operations.replicate(ALL);

    expect(refused).toMatchObject({ code: "BACKUP_IN_PROGRESS" });
    expectSame(site);
  });
});

describe("replicate that is interrupted", () => {
  it("goes on: what lies there and is right is not sent again, what is wrong is", async () => {
    const site = await behindSite();
    const broken = await withFaults(
      site,
      only("second", (storage) => void storage.onKey("put", /keys-/).fail(new Error("killed"))),
    );
    await expect(broken.replicate(ALL)).rejects.toThrow("killed");
    const [pack = "", other = ""] = Object.keys(hashesIn(site, "replica")).filter((key) => /tree/.test(key));
    const wrong = join(site.directory, "replica", other);
    writeFileSync(wrong, Buffer.alloc(readFileSync(wrong).length, 1));
    const sent: string[] = [];
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onCall("put", "every").meanwhile(() => sent.push(...lastPut(storage)))),
    );

    await operations.replicate(ALL);

    expectSame(site);
    expect(sent).not.toContain(pack);
    expect(sent).toContain(other);
  });

  it.each(["put", "get", "list", "stat", "remove", "space"] as const)(
    "at any %s leaves no backup that is not whole, and the next run ends it",
    async (operation) => {
      const site = await behindSite();
      for (const n of [1, 2, 5, 12]) {
        const broken = await withFaults(site, (storage) => void storage.onCall(operation, n).fail(away));
        const result = await broken.replicate(ALL).catch(() => undefined);
        await expectWhole(site);
        await broken.close();
        if (result?.storages.every(({ lag, failure }) => lag.backups === 0 && !failure)) break;
        rmSync(join(site.directory, "replica", "full"), { recursive: true, force: true });
      }
      await (await site.reopen()).replicate(ALL);
      expectSame(site);
    },
    60_000,
  );

  it("by a signal ends with it", async () => {
    const site = await behindSite();
    const interruption = new AbortController();
    const broken = await withFaults(
      { ...site, reopen: (changes) => site.reopen({ ...changes, signal: interruption.signal }) },
      only(
        "second",
        (storage) =>
          void storage
            .onKey("put", /SHA256SUMS/)
            .meanwhile(() => interruption.abort(new BackupctlError("INTERRUPTED", "interrupted"))),
      ),
    );

    await expect(broken.replicate(ALL)).rejects.toMatchObject({ code: "INTERRUPTED" });
    await expectWhole(site);
  });
});

describe("replicate and damage", () => {
  it("takes from another copy what is damaged in one, and says so", async () => {
    const site = await behindSite({ storages: { third: "replica" } });
    await site.operations.replicate({ ...ALL, to: ["second"] });
    const good = hashesIn(site, "repository");
    writeFileSync(await objectOf(site, "repository", /tree\.zst/), "damaged");
    writeFileSync(await objectOf(site, "repository", /metadata\.json/), "{}");

    const result = await site.operations.replicate({ ...ALL, to: ["third"] });

    expect(hashesIn(site, "third")).toEqual(good);
    expect(result.warnings.join("\n")).toMatch(/metadata\.json in storage "local" can't be read .* another copy/);
    expect((await site.operations.show("latest")).copies[0]).toMatchObject({ storage: "local", state: "damaged" });
  });

  it.each([/tree\.zst/, /SHA256SUMS/, /metadata\.json/, /keys-/])(
    "does not copy a backup whose only %s is damaged, but the others",
    async (name) => {
      const site = await behindSite();
      const { id } = await site.operations.show("latest");
      const object = await objectOf(site, "repository", name);
      writeFileSync(object, Buffer.alloc(readFileSync(object).length, 65));

      const { notCopied, copied, lag } = of(await site.operations.replicate(ALL), "second");

      expect(copied).toHaveLength(1);
      expect(lag.backups).toBe(1);
      expect(notCopied.map(({ backupId }) => backupId)).toEqual([id]);
      expect(notCopied[0]?.error).toMatchObject({ code: "BACKUP_CORRUPTED" });
      expect(existsSync(object.replace("/repository/", "/replica/").replace(/[^/]*$/, "metadata.json"))).toBe(false);
      await expectWhole(site);
    },
  );

  it("copies nothing that builds on a backup that can't be copied", async () => {
    const site = await behindSite();
    const [child, full] = (await site.operations.list({ limit: 5, offset: 0 })).backups;
    const { metadata } = await site.operations.show(full?.id ?? "");
    rmSync(join(site.repositoryDirectory, metadata?.storage_path ?? "", "SHA256SUMS"));

    const { notCopied } = of(await site.operations.replicate(ALL), "second");

    expect(notCopied.map(({ backupId, error }) => [backupId, error.code])).toEqual([
      [full?.id, "BACKUP_CORRUPTED"],
      [child?.id, "PARTIALLY_DONE"],
    ]);
    expect(Object.keys(hashesIn(site, "replica")).filter((key) => key.endsWith("metadata.json"))).toEqual([]);
  });

  it("does not call a copy good that verify found damaged", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    const object = await objectOf(site, "replica", /tree\.zst/);
    writeFileSync(object, Buffer.alloc(readFileSync(object).length, 65));
    await site.operations.verify({ ...QUICK, reference: "latest", storage: "second" });

    const { notCopied, lag } = of(await site.operations.replicate(ALL), "second");

    expect(lag.backups).toBe(1);
    expect(notCopied[0]?.error).toMatchObject({ code: "BACKUP_CORRUPTED", hint: expect.stringContaining("--repair") });
  });

  it("goes on with other storages when one fails, and reads one that is away only once", async () => {
    const site = await behindSite({ storages: { third: "replica" } });
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onCall("put", 2).fail(away)),
    );

    const result = await operations.replicate(ALL);

    expect(of(result, "second")).toMatchObject({ failure: { message: "the line is cut" }, lag: { backups: 2 } });
    expect(of(result, "third")).toMatchObject({ failure: undefined, lag: { backups: 0 } });
  });

  it("calls a copy whole whose source goes away once all of it is there", async () => {
    const site = await behindSite();
    const operations = await withFaults(
      site,
      only("local", (storage) => void storage.onCall("stat", "every").fail(away)),
    );

    expect(of(await operations.replicate(ALL), "second")).toMatchObject({ lag: { backups: 1 } });
    await site.operations.replicate(ALL);
    expectSame(site);
  });

  it("leaves out a storage that is away, and says it", async () => {
    const site = await behindSite();
    rmSync(join(site.directory, "replica"), { recursive: true });

    const result = await (await site.reopen()).replicate(ALL);

    expect(of(result, "second")).toMatchObject({ failure: { code: "STORAGE_NOT_FOUND" }, lag: { backups: 2 } });
    expect(result.warnings.join("\n")).toContain('storage "second" is left out');
  });

  it("does not begin a copy that a storage has no room for", async () => {
    const site = await behindSite();
    const operations = await withStorages(site, (storage) =>
      storage.name === "second" ? changed(storage, { space: async () => ({ freeBytes: 1_000_000 }) }) : storage,
    );

    const { failure } = of(await operations.replicate(ALL), "second");

    expect(failure).toMatchObject({
      code: "INSUFFICIENT_STORAGE",
      message: expect.stringContaining("1000000 bytes free"),
    });
    expect(hashesIn(site, "replica")).toEqual({});
  });
});

describe("a backup that is deleted", () => {
  const FORCE = { withDescendants: true, force: true, reason: "test", lockWaitMs: 0 };

  it("is not deleted at all while a storage is away, since its copy would come back", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    rmSync(join(site.directory, "replica"), { recursive: true });
    const operations = await site.reopen();
    const request = { ...FORCE, reference: id };

    await expect(operations.delete(request, await operations.planDelete(request))).rejects.toMatchObject({
      code: "STORAGE_NOT_FOUND",
      message: expect.stringContaining('nothing is deleted without storage "second"'),
      hint: expect.stringContaining("come back"),
    });
    expect(await operations.show(id)).toMatchObject({ status: "completed" });
  });

  it("is not copied back from a storage that was not in the config then", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    await createOne(site);
    const { loaded } = site.session;
    const storages = loaded.config.storages.filter(({ name }) => name === "local");
    const without = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, storages } } });
    const request = { ...FORCE, reference: id };
    await without.delete(request, await without.planDelete(request));

    const result = await site.operations.replicate(ALL);

    expect(Object.keys(hashesIn(site, "repository")).join()).not.toContain(id.slice(0, 8));
    expect(result.warnings.join("\n")).toContain(`backup ${id} was deleted`);
  });

  it("while it is copied is withdrawn where it came to", async () => {
    const site = await openSite({ replica: true });
    await createOne(site, { storages: ["local"] });
    const directory = await site.backupDirectory();
    const operations = await withFaults(
      site,
      only(
        "second",
        (storage) =>
          void storage
            .onKey("put", /metadata\.json/)
            .meanwhile(() => writeFileSync(join(directory, "deleted.json"), "{}")),
      ),
    );

    const { notCopied } = of(await operations.replicate(ALL), "second");

    expect(notCopied[0]?.error).toMatchObject({ code: "BACKUP_NOT_FOUND" });
    expect(hashesIn(site, "replica")).toEqual({});
  });

  it("by another host while it is copied is deleted there, too", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site, { storages: ["local"] });
    await createOne(site, { storages: ["local"] });
    const copied = { ...FORCE, reference: id };
    // It is copied by another host at the moment between the first look and the mark.
    const { loaded } = site.session;
    const other = await site.reopen({
      loaded: { ...loaded, config: { ...loaded.config, stateDir: join(site.directory, "other") } },
    });
    let done = false;
    const operations = await withFaults(
      site,
      only(
        "local",
        (storage) =>
          void storage.onKey("remove", /deleted\.json$/).meanwhile(async () => {
            if (!done) await other.replicate(ALL);
            done = true;
          }),
      ),
    );

    await operations.delete(copied, await operations.planDelete(copied));

    expect(Object.keys(hashesIn(site, "replica")).join()).not.toContain(id.slice(0, 8));
  });
});

/** Every backup of which the replica has metadata.json is whole there, ancestors and all. */
async function expectWhole(site: OpenSite): Promise<void> {
  const there = Object.keys(hashesIn(site, "replica")).filter((key) => key.endsWith("/metadata.json"));
  const operations = await site.reopen();
  for (const { id } of (await operations.list({ limit: 10, offset: 0 })).backups) {
    if (!there.some((key) => key.includes(id.slice(0, 8)))) continue;
    const { backups } = await operations.verify({ ...QUICK, reference: id, storage: "second" });
    expect(backups.flatMap(({ issues }) => issues)).toEqual([]);
  }
  await operations.close();
}

function lastPut(storage: FaultyStorage): readonly string[] {
  return storage.calls.slice(-1).map(({ key }) => key);
}
