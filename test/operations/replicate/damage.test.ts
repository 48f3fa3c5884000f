import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { changed } from "../../../src/storage/resilient/changed.ts";
import { addFile, createOne, openSite, withFaults, withStorages } from "../../helpers/open-site.ts";
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

/** It is still the same to who can't open it. */
function changeLetter(keys: string): void {
  const change = (letter: string): string => (letter === "A" ? "B" : "A");
  writeFileSync(keys, readFileSync(keys, "utf8").replace(/(?<="ciphertext": ")./, change));
}

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

  it("takes the keys that were written, wherever they are, before ones in which a single letter is another", async () => {
    const site = await behindSite({ storages: { third: "replica" } });
    await site.operations.replicate({ ...ALL, to: ["second"] });
    const good = hashesIn(site, "replica");
    changeLetter(await objectOf(site, "repository", /keys-/));

    const result = await site.operations.replicate({ ...ALL, to: ["third"] });

    expect(hashesIn(site, "third")).toEqual(good);
    expect(result.warnings.join("\n")).toMatch(/keys-.* in storage "local" is not the one that was written; another/);
  });

  it("copies no keys in which a single letter is another, with a key at hand and without, and so no backup", async () => {
    const site = await behindSite();
    const { id } = await site.operations.show("latest");
    changeLetter(await objectOf(site, "repository", /keys-/));

    for (const operations of [await withoutKeys(site), await site.reopen()]) {
      const { notCopied } = of(await operations.replicate(ALL), "second");

      expect(notCopied).toMatchObject([{ backupId: id, error: { code: "BACKUP_CORRUPTED" } }]);
    }
  });

  it("takes notes that one copy has missed for no damage of that", async () => {
    const site = await openSite({ replica: true, storages: { third: "replica" } });
    const { id } = await createOne(site);
    await site.operations.hold(id, "audit");
    for (const folder of ["repository", "third"]) rmSync(await objectOf(site, folder, /notes-/));

    const result = await site.operations.replicate({ ...ALL, to: ["third"] });

    expect(hashesIn(site, "third")).toEqual(hashesIn(site, "replica"));
    expect(result.warnings).toEqual([]);
    expect((await site.operations.show(id)).copies.map(({ state }) => state)).toEqual(Array(3).fill("complete"));
  });

  it("does not pass on notes that were changed", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    await site.operations.hold(id, "audit");
    rmSync(await objectOf(site, "replica", /notes-/));
    const notes = await objectOf(site, "repository", /notes-/);
    writeFileSync(notes, readFileSync(notes, "utf8").replace("audit", "nothing"));

    const result = await site.operations.replicate(ALL);

    expect(result.warnings).toMatchObject([
      expect.stringMatching(/notes-.* was changed after it was written; it is not copied/),
    ]);
    expect(Object.keys(hashesIn(site, "replica")).filter((key) => key.includes("notes-"))).toEqual([]);
  });

  it("without a key copies metadata only if every copy that can be read has the same", async () => {
    const site = await behindSite({ storages: { third: "replica" } });
    await site.operations.replicate({ ...ALL, to: ["second"] });
    const { id } = await site.operations.show("latest");
    const metadata = await objectOf(site, "repository", /metadata\.json/);
    const text = readFileSync(metadata, "utf8");
    const keyless = await withoutKeys(site);
    const toThird = async () => of(await keyless.replicate({ ...ALL, to: ["third"] }), "third");

    writeFileSync(
      metadata,
      text.replace(/(?<="mac": ?"hmac-sha256:)./, (digit) => (digit === "0" ? "1" : "0")),
    );
    expect((await toThird()).notCopied).toMatchObject([
      { backupId: id, error: { message: expect.stringContaining("no key at hand tells which is right") } },
    ]);
    writeFileSync(metadata, text.slice(0, 100));
    expect((await toThird()).notCopied).toEqual([]);
    expect(hashesIn(site, "third")).toEqual(hashesIn(site, "replica"));
  });

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
    expect(notCopied[0]?.error).toMatchObject({ code: "PARTIALLY_DONE", hint: expect.stringContaining("--repair") });
  });

  it("advises no repair where no sound copy is left", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    for (const folder of ["repository", "replica"]) {
      const object = await objectOf(site, folder, /tree\.zst/);
      writeFileSync(object, Buffer.alloc(readFileSync(object).length, 65));
    }
    await site.operations.verify({ ...QUICK, reference: "latest" });

    const { notCopied } = of(await site.operations.replicate(ALL), "second");

    const hint = notCopied[0]?.error.hint ?? "";
    expect(hint).toContain("backupctl create --mode full");
    expect(hint).not.toContain("--repair");
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
  });

  it("does not begin a copy that a storage has no room for, nor one of what builds on it, but those that fit", async () => {
    const site = await openSite({ replica: true });
    const alone = { storages: ["local"] };
    const small = await createOne(site, alone);
    const large = join(site.directory, "www", "large");
    writeFileSync(large, randomBytes(3_000_000));
    const tooLarge = await createOne(site, { ...alone, mode: "full" });
    addFile(site);
    const onTop = await createOne(site, { ...alone, mode: "incremental" });
    rmSync(large);
    const last = await createOne(site, { ...alone, mode: "full" });
    const freeBytes = (small.storedBytes ?? 0) + 2_000_000;
    const operations = await withStorages(site, (storage) =>
      storage.name === "second" ? changed(storage, { space: async () => ({ freeBytes }) }) : storage,
    );

    const { copied, notCopied, failure } = of(await operations.replicate(ALL), "second");

    expect(failure).toBeUndefined();
    expect(notCopied).toMatchObject([
      {
        backupId: tooLarge.id,
        error: { code: "INSUFFICIENT_STORAGE", message: expect.stringMatching(/has \S+ \S+ free/) },
      },
      { backupId: onTop.id, error: { code: "PARTIALLY_DONE" } },
    ]);
    expect(copied).toEqual([small.id, last.id]);
  });

  it("says of which backup no storage at hand has a copy", async () => {
    const site = await behindSite();
    renameSync(site.repositoryDirectory, join(site.directory, "unplugged"));

    const { notCopied, lag } = of(await (await site.reopen()).replicate(ALL), "second");

    expect(notCopied[0]?.error).toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("no storage at hand holds backup"),
    });
    expect(lag.backups).toBe(2);
  });

  it("says which backup no storage has any longer, and the catalog forgets it", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    for (const folder of ["repository", "replica"]) rmSync(join(site.directory, folder, "full"), { recursive: true });

    const { warnings } = await site.operations.replicate(ALL);

    expect(warnings).toContain(`no storage holds backup ${id} any longer: the catalog has forgotten it`);
    expect((await site.operations.list({ limit: 5, offset: 0 })).backups).toEqual([]);
  });

  it("commits no copy of which an object is gone again, and the next run completes it", async () => {
    const site = await behindSite();
    const removePack = async (): Promise<void> => {
      const pack = Object.keys(hashesIn(site, "replica")).find((key) => key.includes(".tree."));
      rmSync(join(site.directory, "replica", pack ?? ""), { force: true });
    };
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onKey("put", /keys-/).meanwhile(removePack)),
    );

    const { notCopied } = of(await operations.replicate(ALL), "second");

    expect(notCopied[0]?.error).toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("did not become whole"),
    });
    await expectWhole(site);
    await (await site.reopen()).replicate(ALL);
    expectSame(site);
  });

  it("says what the target keeps of another run and does not let go of", async () => {
    const site = await behindSite();
    const pack = await objectOf(site, "repository", /tree\.zst/);
    const foreign = pack.replace("/repository/", "/replica/").replace(/\d{8}$/, "00000099");
    mkdirSync(dirname(foreign), { recursive: true });
    writeFileSync(foreign, "of another run");
    const operations = await withFaults(
      site,
      only("second", (storage) => void storage.onKey("remove", /00000099/).fail(away)),
    );

    const { warnings } = await operations.replicate(ALL);

    expect(warnings).toMatchObject([
      expect.stringMatching(/in storage "second" keeps what its backup has not: the line is cut/),
    ]);
    expect((await site.operations.verify({ ...QUICK, reference: "latest" })).passed).toBe(true);
  });
});
