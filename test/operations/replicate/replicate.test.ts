import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { ReplicateRequest } from "../../../src/operations/operations.ts";
import type { FaultyStorage } from "../../helpers/faulty-storage.ts";
import { createOne, openSite, withFaults } from "../../helpers/open-site.ts";
import {
  ALL,
  away,
  behindSite,
  expectSame,
  expectWhole,
  hashesIn,
  objectOf,
  of,
  only,
  QUICK,
  withoutKeys,
} from "./tools.ts";

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
    const keyless = await withoutKeys(site);

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
    expect(await refusal({ from: "second", to: ["second"] })).toMatchObject({
      ...{ code: "USAGE", message: '--from and --to both name "second"' },
    });
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

function lastPut(storage: FaultyStorage): readonly string[] {
  return storage.calls.slice(-1).map(({ key }) => key);
}
