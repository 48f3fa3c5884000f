import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../src/errors.ts";
import type { Session } from "../../src/operations/session.ts";
import { addFile, createOne, openSite, WWW, withEngine, withFaults } from "../helpers/open-site.ts";
import { NO_CHOICES } from "../helpers/site.ts";
import { download, NOTHING_ASKED, restore } from "./restore/tools.ts";

/** What no other test asks for, because nobody should. */
describe("it is refused in words", () => {
  const FAILING = `${WWW}\n  bad: {engine: command, component: more, command: ["false"]}`;

  it("to back up to a storage that is not there, or with and without compression at once", async () => {
    const { operations } = await openSite();

    await expect(operations.planCreate({ ...NO_CHOICES, storages: ["moon"] })).rejects.toMatchObject({
      code: "STORAGE_NOT_FOUND",
      hint: "Use one of local.",
    });
    const contradiction = { ...NO_CHOICES, compress: false, compressionLevel: 3 };
    await expect(operations.planCreate(contradiction)).rejects.toMatchObject({ code: "USAGE" });
  });

  it("to restore a source that failed when the backup was made, and said where it is left out", async () => {
    const site = await openSite({ sources: FAILING });
    const { id: reference } = await createOne(site);
    const to = join(site.directory, "to");

    await expect(restore(site.operations, { reference, sources: ["bad"], to })).rejects.toMatchObject({
      code: "SOURCE_NOT_FOUND",
      message: expect.stringContaining('source "bad" failed when backup'),
    });
    const plan = await site.operations.planRestore({ ...NOTHING_ASKED, latest: true, to });
    expect(plan.warnings.join("\n")).toContain('source "bad" failed when this backup was made');
  });

  it("to restore or download a source that is of none of the components", async () => {
    const site = await openSite({
      sources: `${WWW}\n  other: {engine: files, component: other, paths: ["{dir}/www/uploads"]}`,
    });
    await createOne(site);
    const asked = { sources: ["www", "other"], components: ["other"], to: join(site.directory, "to") };
    const refusal = {
      code: "SOURCE_NOT_FOUND",
      message: 'source "www" is left out by --type or --component',
      hint: expect.stringContaining("files, its component"),
    };

    await expect(restore(site.operations, { ...asked, latest: true })).rejects.toMatchObject(refusal);
    await expect(download(site.operations, asked)).rejects.toMatchObject(refusal);
  });

  it("to restore to a target that has no place for the source", async () => {
    const more = `targets:\n  staging: {sources: {other: {paths: ["{dir}/staging"]}}}`;
    const site = await openSite({ sources: `${WWW}\n  other: {engine: files, paths: ["{dir}/www/uploads"]}`, more });
    await createOne(site);

    await expect(restore(site.operations, { latest: true, sources: ["www"], target: "staging" })).rejects.toMatchObject(
      {
        code: "TARGET_NOT_FOUND",
        message: expect.stringContaining('no place for source "www"'),
      },
    );
  });

  it("to restore to a target with more or fewer paths than the source, or with --delete what it can't be told of", async () => {
    const more = `targets:\n  staging: {sources: {www: {paths: ["{dir}/a", "{dir}/b"]}}}`;
    const site = await openSite({ more });
    await createOne(site);
    const plan = { ...NOTHING_ASKED, latest: true, delete: true };

    await expect(site.operations.planRestore({ ...plan, target: "staging" })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("has 2 paths"),
    });
    const { refusals } = await site.operations.planRestore({ ...plan, include: ["*.html"] });
    expect(refusals.map(({ message }) => message)).toEqual([
      expect.stringContaining("is not empty"),
      "--delete needs --overwrite",
      "--delete can't be combined with --include or --exclude",
    ]);
    const { loaded } = site.session;
    const bare = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, sources: [] } } });
    const to = join(site.directory, "to");
    expect((await bare.planRestore({ ...plan, to, overwrite: true })).refusals).toMatchObject([
      { message: expect.stringContaining('the config does not have source "www"') },
    ]);
  });

  it("to restore what an ancestor is gone of", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    const ancestor = join(await site.backupDirectory(), "metadata.json");
    addFile(site);
    await createOne(site, { mode: "incremental" });
    rmSync(ancestor);

    await expect(restore(site.operations, { latest: true, to: join(site.directory, "to") })).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining(`its ancestor ${id} is damaged: `),
    });
  });

  it("to restore several sources to one database name, and with which commands it is done", async () => {
    const site = await openSite({
      sources: `${WWW}\n  rows: {engine: command, component: more, command: [echo, row]}`,
    });
    const { id } = await createOne(site);
    const operations = await withEngine(site, "command", { definition: { toMeans: "name" } });

    const { refusals } = await operations.planRestore({ ...NOTHING_ASKED, latest: true, to: "copy" });

    const [rows, others] = ["rows --to NAME", "www --to DIR"].map(
      (what) => `\`backupctl restore ${id.slice(0, 8)} --source ${what}\``,
    );
    expect(refusals).toMatchObject([
      { code: "USAGE", hint: `Restore them one after the other: ${rows}, then ${others}.` },
    ]);
  });

  it("to restore or download without the key, and it is the key that is asked for", async () => {
    const site = await openSite();
    await createOne(site);
    writeFileSync(join(site.directory, "main.key"), "ab".repeat(32));
    const operations = await site.reopen();
    await operations.rebuildCatalog();

    await expect(restore(operations, { latest: true })).rejects.toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND" });
  });

  it("to use a storage that holds no repository, a state directory that can't be, or no storage at all", async () => {
    const site = await openSite();
    const { loaded } = site.session;
    writeFileSync(join(site.directory, "file"), "");
    const withConfig = (changes: object) =>
      site.reopen({ loaded: { ...loaded, config: { ...loaded.config, ...changes } } });

    const nowhere = await withConfig({ stateDir: join(site.directory, "file/state") });
    await expect(nowhere.status(undefined)).rejects.toMatchObject({
      code: "CATALOG_FAILED",
      hint: expect.stringContaining("state_dir"),
    });
    await expect((await withConfig({ storages: [] })).create(NO_CHOICES)).rejects.toThrow("no storage is configured");
    rmSync(join(site.repositoryDirectory, "backupctl.json"));
    await expect((await site.reopen()).create(NO_CHOICES)).rejects.toMatchObject({
      code: "REPOSITORY_NOT_INITIALIZED",
    });
  });

  it("to download what nothing is left of", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "to");

    await expect(download(site.operations, { to, exclude: ["**"] })).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining("is left by --include and --exclude"),
    });
  });

  it("to hold what is being deleted, or was never completed", async () => {
    const site = await openSite({ sources: FAILING });
    const backup = await createOne(site);
    writeFileSync(join(await site.backupDirectory(), "deleted.json"), "{}");
    await site.create({ sources: ["bad"] }).catch(() => undefined);
    const { backups } = await site.operations.list({ limit: 2, offset: 0 });
    const failed = backups.find(({ status }) => status === "failed");

    await expect(site.operations.hold(backup.id, "audit")).rejects.toThrow("is being deleted");
    await expect(site.operations.hold(failed?.id ?? "", "audit")).rejects.toThrow("was never completed (failed)");
  });
});

describe("it is warned of", () => {
  it("a replica that is away, or another repository's", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    const replica = join(site.directory, "replica");
    rmSync(replica, { recursive: true });
    await (await site.reopen()).rebuildCatalog();
    expect(site.warnings.join("\n")).toContain('storage "second" is left out');

    const other = await openSite();
    mkdirSync(replica);
    cpSync(join(other.repositoryDirectory, "backupctl.json"), join(replica, "backupctl.json"));
    addFile(site);
    const { warnings } = await (await site.reopen()).create(NO_CHOICES);
    expect([...warnings, ...site.warnings].join("\n")).toContain(
      'storage "second" takes no part in this run: it belongs to repository',
    );
  });

  it("what an engine warns of while it looks at a target and restores", async () => {
    const site = await openSite({ sources: "  rows: {engine: command, command: [echo, row]}" });
    await createOne(site);
    const operations = await withEngine(site, "command", {
      engine: (engine) => ({
        ...engine,
        inspectTarget: (request, context) => {
          context.warn("it is raining");
          return engine.inspectTarget(request, context);
        },
        restore: async (_, context) => {
          context.warn("it is snowing");
          return { place: "there", checks: [], warnings: [] };
        },
      }),
    });

    const { warnings } = await restore(operations, { latest: true, to: join(site.directory, "to") });

    expect(warnings).toEqual(["it is raining", "it is snowing"]);
  });

  it("a restore that the catalog does not take, or the end of it", async () => {
    const site = await openSite();
    await createOne(site);
    const { adapters } = site.session;
    for (const [refused, said] of [
      ["running", "the restore is not recorded: locked"],
      ["completed", "the end of the restore is not recorded: locked"],
    ]) {
      const openCatalog: Session["adapters"]["openCatalog"] = async (options) => {
        const catalog = await adapters.openCatalog(options);
        const { addRestore } = catalog;
        catalog.addRestore = (row) => {
          if (row.status === refused) throw new BackupctlError("CATALOG_FAILED", "locked");
          addRestore.call(catalog, row);
        };
        return catalog;
      };
      const operations = await site.reopen({ adapters: { ...adapters, openCatalog } });

      const { sources } = await restore(operations, { latest: true, to: join(site.directory, `to-${refused}`) });

      expect(sources).toMatchObject([{ status: "completed" }]);
      expect(site.warnings.join("\n")).toContain(said);
    }
  });

  it("a recovery program that can't be written", async () => {
    const site = await openSite();
    const failure = new BackupctlError("STORAGE_FAILED", "no such luck");
    const operations = await withFaults(site, (storage) => storage.onKey("put", /^recovery\//).fail(failure));

    const { warnings } = await operations.create(NO_CHOICES);

    expect([...warnings, ...site.warnings].join("\n")).toContain("recovery/recover.mjs in storage");
  });

  it("a backup that lies in two places", async () => {
    const site = await openSite();
    await createOne(site);
    const directory = await site.backupDirectory();
    const twin = join(dirname(dirname(directory)), "2026-01-01", "full-00-00-00-11111111");
    cpSync(directory, twin, { recursive: true });

    const { damaged } = await site.operations.rebuildCatalog();

    expect(damaged.join("\n")).toContain("2026-01-01");
  });
});
