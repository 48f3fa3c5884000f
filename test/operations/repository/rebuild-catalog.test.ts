import { cpSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { DamagedCatalogError } from "../../../src/catalog/catalog.ts";
import { BackupctlError } from "../../../src/errors.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import type { Session } from "../../../src/operations/session.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { createOne, type OpenSite, openSite, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const PAGE = { limit: 20, offset: 0 };

async function loseCatalog(site: OpenSite): Promise<string> {
  const { catalog } = await statePaths(site.session);
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${catalog}${suffix}`, { force: true });
  return catalog;
}

/** The catalog as a closed program leaves it; the site's own connection keeps the old file. */
async function closedCopy(site: OpenSite): Promise<Buffer> {
  const { catalog, directory } = await statePaths(site.session);
  const copy = join(directory, "copy.db");
  const from = new Sqlite(catalog);
  from.exec(`VACUUM INTO '${copy}'`);
  from.close();
  const made = new Sqlite(copy);
  made.exec("DELETE FROM facts WHERE name = 'dirty'");
  made.close();
  await loseCatalog(site);
  const bytes = readFileSync(copy);
  rmSync(copy);
  return bytes;
}

describe("catalog rebuild", () => {
  it("brings back backups, copies, holds and verifications from the storage alone", async () => {
    const site = await openSite();
    const full = await createOne(site, { tags: ["a"], description: "first" });
    const child = await createOne(site, { mode: "incremental" });
    await site.operations.verify({ reference: child.id, all: false, deep: false, quick: false, components: [] });
    await site.operations.hold(full.id, "audit");
    const before = await Promise.all([full.id, child.id].map((id) => site.operations.show(id)));
    await loseCatalog(site);
    const operations = await site.reopen();

    const result = await operations.rebuildCatalog();

    expect(result).toMatchObject({ found: 2, unverified: 0, unfinished: 0, damaged: [] });
    const after = await Promise.all([full.id, child.id].map((id) => operations.show(id)));
    expect(after.map(({ copies: _, ...rest }) => rest)).toEqual(before.map(({ copies: _, ...rest }) => rest));
    expect(after.map(({ copies }) => copies.map(({ storage, state }) => ({ storage, state })))).toEqual([
      [{ storage: "local", state: "complete" }],
      [{ storage: "local", state: "complete" }],
    ]);
  });

  it("lists backups that no key proves as not trusted, and never as the latest", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    writeFileSync(join(site.directory, "main.key"), "ab".repeat(32));
    await loseCatalog(site);
    const operations = await site.reopen();

    expect(await operations.rebuildCatalog()).toMatchObject({ found: 1, unverified: 1 });

    expect(await operations.show(backup.id)).toMatchObject({ trusted: false });
    await expect(operations.show("latest")).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });

  it("reports damaged, unfinished and half deleted directories each as what it is", async () => {
    const site = await openSite();
    const copyAs = async (prefix: string, without: readonly string[], more: readonly string[] = []) => {
      const directory = await site.backupDirectory();
      const other = join(directory, "..", `full-01-02-03-${prefix}`);
      cpSync(directory, other, { recursive: true });
      for (const name of readdirSync(other))
        if (without.some((start) => name.startsWith(start))) rmSync(join(other, name));
      for (const name of more) writeFileSync(join(other, name), "{}");
      return other;
    };
    await createOne(site);
    await copyAs("aaaaaaaa", ["metadata"]);
    await copyAs("bbbbbbbb", ["metadata", "keys", "SHA256SUMS"]);
    await copyAs("cccccccc", ["metadata"], ["deleted.json"]);
    await copyAs("dddddddd", []);
    const spoilt = await copyAs("eeeeeeee", []);
    writeFileSync(join(spoilt, "metadata.json"), "{");
    await copyAs("ffffffff", ["metadata", "keys"]);

    const result = await site.operations.rebuildCatalog();

    expect(result).toMatchObject({ found: 1, unfinished: 2 });
    expect(result.damaged).toEqual([
      expect.stringMatching(/aaaaaaaa\/metadata\.json is missing in storage "local"/),
      expect.stringMatching(/dddddddd says storage path/),
      expect.stringMatching(/eeeeeeee is damaged: it is not JSON/),
      expect.stringMatching(/ffffffff\/metadata\.json is missing in storage "local"/),
    ]);
  });

  it("forgets what is in no storage any longer, and keeps this host's failed runs", async () => {
    const site = await openSite();
    const gone = await createOne(site);
    rmSync(await site.backupDirectory(), { recursive: true });
    rmSync(join(site.directory, "www"), { recursive: true });
    await site.create().catch(() => undefined);

    await site.operations.rebuildCatalog();

    const { backups } = await site.operations.list(PAGE);
    expect(backups.map(({ status }) => status)).toEqual(["failed"]);
    expect((await site.context.catalog("read")).events({ backupId: gone.id })[0]).toMatchObject({
      action: "backup:forget",
    });
  });

  it("keeps what it knew of a backup that is not readable now, or lies in a storage that is away", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    const states = async () => (await site.operations.show(backup.id)).copies.map(({ state }) => state);
    const directory = await site.backupDirectory();
    const replica = join(site.directory, "replica");
    renameSync(replica, `${replica}-away`);

    writeFileSync(join(directory, "metadata.json"), "{");
    expect(await (await site.reopen()).rebuildCatalog()).toMatchObject({ found: 0 });
    expect(await states()).toEqual(["damaged", "complete"]);
    rmSync(directory, { recursive: true });
    await (await site.reopen()).rebuildCatalog();
    expect(await states()).toEqual(["missing", "complete"]);
  });

  it("keeps what it knew of copies in a storage that is away, of backups that it finds elsewhere, too", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    renameSync(join(site.directory, "replica"), join(site.directory, "away"));

    const operations = await site.reopen();
    await operations.rebuildCatalog();

    const { copies } = await operations.show(backup.id);
    expect(copies).toMatchObject([
      { storage: "local", state: "complete" },
      { storage: "second", state: "complete" },
    ]);
    expect(site.warnings.join()).toMatch(/storage "second" is left out: /);
  });

  it("keeps a backup whose metadata are gone as a damaged one", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    rmSync(join(await site.backupDirectory(), "metadata.json"));

    await site.operations.rebuildCatalog();

    expect((await site.operations.show(backup.id)).copies).toMatchObject([{ state: "damaged" }]);
  });

  it("takes the proven one of two backups with one id, and lists the other as unreadable", async () => {
    const site = await openSite();
    const { id, timestamp } = await createOne(site);
    const directory = await site.backupDirectory();
    const { storagePath = "" } = (await site.context.catalog("read")).list({}).backups[0] ?? {};
    const twinPath = storagePath.replace(timestamp.slice(0, 10), "2020-01-01");
    const twin = join(site.repositoryDirectory, twinPath);
    cpSync(directory, twin, { recursive: true });
    const metadata = readFileSync(join(twin, "metadata.json"), "utf8");
    writeFileSync(
      join(twin, "metadata.json"),
      metadata.replaceAll(storagePath, twinPath).replaceAll(timestamp.slice(0, 10), "2020-01-01"),
    );

    const { found, damaged } = await site.operations.rebuildCatalog();

    expect(found).toBe(1);
    expect(damaged.join("\n")).toMatch(/is not authentic: its mac is wrong/);
    const { backups } = await site.operations.list(PAGE);
    expect(backups.map(({ status }) => status).sort()).toEqual(["completed", "unreadable"]);
    expect(await site.operations.show(id)).toMatchObject({ trusted: true, metadata: { storage_path: storagePath } });
  });

  it("passes over a backup that is deleted while it looks", async () => {
    const site = await openSite();
    await createOne(site);
    const metadata = join(await site.backupDirectory(), "metadata.json");
    const operations = await withFaults(site, (storage) =>
      storage.onKey("get", /metadata\.json/).meanwhile(() => rmSync(metadata)),
    );

    expect(await operations.rebuildCatalog()).toMatchObject({
      found: 0,
      damaged: [expect.stringContaining("no backup")],
    });
  });

  it("sees a deletion that was begun as such for a day, and then as lapsed", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const mark = join(await site.backupDirectory(), "deleted.json");
    writeFileSync(mark, "{}");
    await site.operations.rebuildCatalog();
    expect(await site.operations.show(backup.id)).toMatchObject({ status: "deleting" });
    expect(site.warnings.splice(0).join("\n")).toMatch(
      new RegExp(`backup ${backup.id} is there, but .*/deleted\\.json in storage "local" says`),
    );
    const longAgo = new Date("2026-01-01T00:00:00Z");
    utimesSync(mark, longAgo, longAgo);

    await site.operations.rebuildCatalog();

    expect(await site.operations.show(backup.id)).toMatchObject({ status: "completed" });
    expect(site.warnings).toEqual([]);
  });

  it("is refused while a backup is being made", async () => {
    const site = await openSite();
    let refused: unknown;

    await createOne(site, {
      onPlan: () => {
        refused = site.operations.rebuildCatalog().catch((error: unknown) => error);
      },
    });

    expect(await refused).toMatchObject({ code: "BACKUP_IN_PROGRESS" });
  });
});

describe("a catalog that can't be used never stands in the way:", () => {
  const lost: readonly (readonly [string, (file: string, site: OpenSite) => void])[] = [
    ["missing", () => undefined],
    ["empty", (file) => writeFileSync(file, "")],
    [
      "no database",
      (file) => writeFileSync(file, "this is no database, but it is long enough to look at it".repeat(100)),
    ],
  ];

  it.each(lost)("%s, it is made anew by list, with a warning", async (_, spoil) => {
    const site = await openSite();
    const backup = await createOne(site);
    spoil(await loseCatalog(site), site);

    const { backups } = await (await site.reopen()).list(PAGE);

    expect(backups.map(({ id }) => id)).toEqual([backup.id]);
    expect(site.warnings.join("\n")).toMatch(/made anew; backups found in storage: 1/);
    site.warnings.length = 0;
    await (await site.reopen()).list(PAGE);
    expect(site.warnings).toEqual([]);
  });

  it("missing, it is rebuilt without a warning by who asks for that", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    await loseCatalog(site);

    const result = await (await site.reopen()).rebuildCatalog();

    expect({ found: result.found, warnings: site.warnings }).toEqual({ found: 1, warnings: [] });
    expect((await (await site.reopen()).list(PAGE)).backups.map(({ id }) => id)).toEqual([backup.id]);
    expect(site.warnings).toEqual([]);
  });

  it("damaged in the middle, it is made anew by the command that meets the damage", async () => {
    const site = await openSite();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.unshift((await createOne(site)).id);
    const { catalog } = await statePaths(site.session);
    const bytes = await closedCopy(site);
    // The header and the schema stay: only who reads on notices.
    bytes.fill(0xa5, 4096 * 3);
    writeFileSync(catalog, bytes);

    const { backups } = await (await site.reopen()).list(PAGE);

    expect(backups.map(({ id }) => id)).toEqual(ids);
    expect(readdirSync(join(catalog, "..")).some((name) => name.startsWith("catalog.db.damaged-"))).toBe(true);
  });

  const commands: readonly (readonly [string, (operations: Operations) => Promise<unknown>])[] = [
    ["list", (operations) => operations.list(PAGE)],
    ["create", (operations) => operations.create(NO_CHOICES)],
    ["catalog rebuild", (operations) => operations.rebuildCatalog()],
  ];

  it.each(commands)("with a row that is not what it should be, it is made anew by %s", async (_, command) => {
    const site = await openSite();
    const backup = await createOne(site);
    const { catalog } = await statePaths(site.session);
    const database = new Sqlite(catalog);
    database.exec(`UPDATE backups SET tags = 'x', host = 'x'`);
    database.close();

    await command(await site.reopen());

    const { backups } = await (await site.reopen()).list(PAGE);
    expect(backups).toContainEqual(expect.objectContaining({ id: backup.id, host: backup.host }));
    expect(readdirSync(join(catalog, "..")).some((name) => name.startsWith("catalog.db.damaged-"))).toBe(true);
  });

  it("damaged where it was sound when it was opened, it is made anew by the command under way", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const { adapters } = site.session;
    const openCatalog: Session["adapters"]["openCatalog"] = async (options) => {
      const catalog = await adapters.openCatalog(options);
      if (options.readOnly)
        catalog.findByPrefix = () => {
          throw new DamagedCatalogError("a page is torn");
        };
      return catalog;
    };
    const operations = await site.reopen({ adapters: { ...adapters, openCatalog } });

    expect(await operations.show(backup.id)).toMatchObject({ id: backup.id, trusted: true });
    expect(site.warnings.join("\n")).toContain("made anew");
  });

  it("of another repository, it is set aside", async () => {
    const site = await openSite();
    await createOne(site);
    const other = await openSite();
    const backup = await createOne(other);
    const place = await loseCatalog(other);
    writeFileSync(place, await closedCopy(site));
    const operations = await other.reopen();

    await operations.verify({ reference: backup.id, all: false, deep: false, quick: true, components: [] });

    expect((await operations.list(PAGE)).backups.map(({ id }) => id)).toEqual([backup.id]);
    expect(readdirSync(join(place, "..")).some((name) => name.startsWith("catalog.db.of-"))).toBe(true);
  });

  it("not writable at all, the storage is read and nothing recorded", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const { catalog } = await statePaths(site.session);
    const { openCatalog } = site.session.adapters;
    const failing: Session["adapters"]["openCatalog"] = async (options) => {
      if (options.file === catalog)
        throw new BackupctlError("CATALOG_FAILED", `catalog ${catalog} can't be opened: read-only file system`);
      return openCatalog(options);
    };
    const operations = await site.reopen({ adapters: { ...site.session.adapters, openCatalog: failing } });

    expect(await operations.show("latest")).toMatchObject({ id: backup.id });
    expect(site.warnings.join("\n")).toContain("the storages are read instead");
  });

  it("nor one in a temporary folder, that is said, and nothing of it left", async () => {
    const site = await openSite();
    await createOne(site);
    const temporary = tempDir();
    vi.stubEnv("TMPDIR", temporary);
    onTestFinished(() => void vi.unstubAllEnvs());
    const openCatalog: Session["adapters"]["openCatalog"] = ({ file }) =>
      Promise.reject(new BackupctlError("CATALOG_FAILED", `catalog ${file} can't be opened`));
    const operations = await site.reopen({ adapters: { ...site.session.adapters, openCatalog } });

    await expect(operations.list(PAGE)).rejects.toThrow((await statePaths(site.session)).catalog);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it("and an empty one is left alone where the repository is empty too", async () => {
    const site = await openSite();
    const operations = await site.reopen();

    expect((await operations.list(PAGE)).total).toBe(0);
    expect(site.warnings).toEqual([]);
  });
});
