import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { LoadedConfig } from "../../../src/config/config.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { configTemplate } from "../../../src/config/template.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { generateKeyFile } from "../../../src/keys/local/generate.ts";
import { openOperations, openSetup } from "../../../src/operations/open.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import type { Setup } from "../../../src/operations/repository/init.ts";
import { createOne, type OpenSite, openSite, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const ANEW = { configPath: undefined, storagePath: undefined };

async function setup(cwd: string): Promise<Setup & { readonly warnings: string[] }> {
  const site = await openSite();
  const { loaded: _, ...session } = site.session;
  return {
    ...session,
    warnings: site.warnings,
    cwd,
    configTemplate,
    writeKeyFile: generateKeyFile,
    loadConfig: (file) => loadConfig({ path: file, env: { HOME: cwd }, cwd }),
  };
}

async function configured(given: Setup, file: string): Promise<Operations> {
  const operations = await openOperations({ ...given, loaded: await given.loadConfig(file) });
  onTestFinished(() => operations.close());
  return operations;
}

describe("init without a configuration", () => {
  it("writes a key, a configuration that loads, and a repository that can be used at once", async () => {
    const cwd = tempDir();
    const given = await setup(cwd);

    const result = await openSetup(given).init(ANEW);

    expect(result).toMatchObject({
      configWritten: true,
      keyWritten: true,
      storages: [{ name: "main", created: true }],
    });
    expect(result.configPath).toBe(join(cwd, "backup.config.yaml"));
    expect(statSync(result.keyPath ?? "").mode & 0o777).toBe(0o600);
    expect(readFileSync(result.keyPath ?? "", "utf8")).toMatch(/^[0-9a-f]{64}\n$/);
    const backups = join(cwd, "backups");
    expect(JSON.parse(readFileSync(join(backups, "backupctl.json"), "utf8"))).toMatchObject({
      repository_id: result.repositoryId,
    });
    expect(readFileSync(join(backups, "recovery/recover.mjs"), "utf8")).toBe("// test\n");
    const operations = await configured(given, result.configPath ?? "");
    expect((await operations.list({ limit: 20, offset: 0 })).total).toBe(0);
  });

  it("takes the places that it is given", async () => {
    const cwd = tempDir();

    const result = await openSetup(await setup(cwd)).init({ configPath: "etc/site.yaml", storagePath: "elsewhere" });

    expect(result.configPath).toBe(join(cwd, "etc/site.yaml"));
    expect(existsSync(join(cwd, "elsewhere/backupctl.json"))).toBe(true);
    expect(existsSync(join(cwd, "etc/backupctl.key"))).toBe(true);
  });

  it("overwrites neither a configuration nor a key", async () => {
    const cwd = tempDir();
    const key = `${"ab".repeat(32)}\n`;
    writeFileSync(join(cwd, "backupctl.key"), key, { mode: 0o600 });
    const given = await setup(cwd);

    const result = await openSetup(given).init(ANEW);
    await expect(openSetup(given).init(ANEW)).rejects.toMatchObject({ code: "USAGE" });

    expect(result.keyWritten).toBe(false);
    expect(readFileSync(join(cwd, "backupctl.key"), "utf8")).toBe(key);
  });

  it("warns that an existing repository needs its old key", async () => {
    const site = await openSite();
    await createOne(site);
    const given = await setup(tempDir());

    const result = await openSetup(given).init({ configPath: undefined, storagePath: site.repositoryDirectory });

    expect(result.storages).toMatchObject([{ created: false }]);
    expect(given.warnings.join("\n")).toContain("need the key that they were sealed with");
  });

  it("is all that can be done without one", async () => {
    const operations = openSetup(await setup(tempDir()));

    await expect(operations.list({ limit: 20, offset: 0 })).rejects.toMatchObject({
      code: "CONFIG_NOT_FOUND",
      hint: expect.stringContaining("backupctl init"),
    });
    await operations.close();
  });

  it("is refused in words where its file can't be written", async () => {
    const cwd = tempDir();
    writeFileSync(join(cwd, "backupctl.key"), `${"ab".repeat(32)}\n`, { mode: 0o600 });

    await expect(
      openSetup(await setup(cwd)).init({ ...ANEW, configPath: `${"x".repeat(300)}.yaml` }),
    ).rejects.toMatchObject({ code: "USAGE", hint: expect.stringContaining("--config") });
  });
});

describe("init with a configuration", () => {
  it("prepares new storages with the repository's id, and leaves old ones as they are", async () => {
    const replica = tempDir();
    const site = await openSite();
    const config = join(site.directory, "backup.config.yaml");
    writeFileSync(
      config,
      readFileSync(config, "utf8").replace("encryption:", `  second: {type: local, path: ${replica}/new}\nencryption:`),
    );
    const marker = readFileSync(join(site.repositoryDirectory, "backupctl.json"), "utf8");
    const operations = await site.reopen({ loaded: await loadConfig({ path: config, env: {}, cwd: site.directory }) });

    const result = await operations.init(ANEW);

    expect(result).toMatchObject({
      configWritten: false,
      keyWritten: false,
      storages: [
        { name: "local", created: false },
        { name: "second", created: true },
      ],
    });
    expect(readFileSync(join(site.repositoryDirectory, "backupctl.json"), "utf8")).toBe(marker);
    expect(JSON.parse(readFileSync(join(replica, "new/backupctl.json"), "utf8"))).toMatchObject({
      repository_id: result.repositoryId,
    });
  });

  it("gives a primary that lost everything the id of its replica", async () => {
    const replica = tempDir();
    const site = await openSite();
    const config = join(site.directory, "backup.config.yaml");
    writeFileSync(
      config,
      readFileSync(config, "utf8").replace("encryption:", `  second: {type: local, path: ${replica}}\nencryption:`),
    );
    const loaded = await loadConfig({ path: config, env: {}, cwd: site.directory });
    const { repositoryId } = await (await site.reopen({ loaded })).init(ANEW);
    rmSync(site.repositoryDirectory, { recursive: true });

    const again = await (await site.reopen({ loaded })).init(ANEW);

    expect(again).toMatchObject({ repositoryId, storages: [{ created: true }, { created: false }] });
  });

  it("writes a lost marker again with the id that the backups say, whatever else is damaged there", async () => {
    const site = await openSite();
    await createOne(site);
    const damaged = await site.backupDirectory();
    await createOne(site);
    writeFileSync(join(damaged, "metadata.json"), "{}");
    const file = join(site.repositoryDirectory, "backupctl.json");
    const { repository_id: repositoryId } = JSON.parse(readFileSync(file, "utf8"));
    rmSync(file);

    const result = await (await site.reopen()).init(ANEW);

    expect(result).toMatchObject({ repositoryId, storages: [{ name: "local", created: false }] });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ repository_id: repositoryId });
    expect(site.warnings.join("\n")).toMatch(
      new RegExp(`"local" had lost its marker .* written again, for repository ${repositoryId}`),
    );
  });

  it.each([
    ["is damaged", (metadata: string) => writeFileSync(metadata, "{}")],
    ["is lost", (metadata: string) => rmSync(metadata)],
  ])(
    "takes the id of another storage where each metadata.json %s, and makes no new repository over backups",
    async (_, harm) => {
      const site = await openSite({ replica: true });
      await createOne(site);
      const file = join(site.repositoryDirectory, "backupctl.json");
      const { repository_id: repositoryId } = JSON.parse(readFileSync(file, "utf8"));
      harm(join(await site.backupDirectory(), "metadata.json"));
      rmSync(file);
      expect(await (await site.reopen()).init(ANEW)).toMatchObject({ repositoryId });
      rmSync(file);
      rmSync(join(site.directory, "replica"), { recursive: true });

      await expect((await site.reopen()).init(ANEW)).rejects.toMatchObject({
        code: "BACKUP_CORRUPTED",
        message: expect.stringContaining('"local" has lost its marker'),
      });

      expect(existsSync(file)).toBe(false);
    },
  );

  it("refuses to write a lost marker where the backups are of two repositories", async () => {
    const site = await openSite();
    const other = await openSite();
    for (const each of [site, other]) await createOne(each);
    const file = join(site.repositoryDirectory, "backupctl.json");
    rmSync(file);
    cpSync(other.repositoryDirectory, site.repositoryDirectory, {
      recursive: true,
      filter: (source) => !source.endsWith("backupctl.json"),
    });

    await expect((await site.reopen()).init(ANEW)).rejects.toMatchObject({
      code: "REPOSITORY_MISMATCH",
      message: expect.stringContaining("its backups are of different repositories"),
    });

    expect(existsSync(file)).toBe(false);
  });

  it("refuses storages of two repositories before it writes anything", async () => {
    const site = await openSite();
    const other = await openSite();
    const third = join(site.directory, "third");
    mkdirSync(third);
    const config = join(site.directory, "backup.config.yaml");
    const more = `  second: {type: local, path: ${other.repositoryDirectory}}\n  third: {type: local, path: ${third}}\n`;
    writeFileSync(config, readFileSync(config, "utf8").replace("encryption:", `${more}encryption:`));
    const operations = await site.reopen({ loaded: await loadConfig({ path: config, env: {}, cwd: site.directory }) });

    await expect(operations.init(ANEW)).rejects.toMatchObject({ code: "REPOSITORY_MISMATCH" });

    expect(existsSync(join(third, "backupctl.json"))).toBe(false);
  });

  it("says that a storage path is for a new configuration", async () => {
    const site = await openSite();
    const elsewhere = join(site.directory, "elsewhere");

    await site.operations.init({ configPath: undefined, storagePath: elsewhere });

    expect(existsSync(elsewhere)).toBe(false);
    expect(site.warnings.join("\n")).toContain("--storage-path is for a new configuration");
  });

  it.each([
    ["is well with another host that gave it the same id", true],
    ["refuses a storage that another host gave another id", false],
  ])("%s meanwhile", async (_, isSame) => {
    const site = await openSite({ replica: true });
    const other = await openSite();
    const file = join(site.directory, "replica/backupctl.json");
    rmSync(file);
    const marker = readFileSync(join((isSame ? site : other).repositoryDirectory, "backupctl.json"), "utf8");
    const operations = await withFaults(site, (storage) => {
      if (storage.name === "second")
        storage.onKey("put", /backupctl\.json/).meanwhile(() => writeFileSync(file, `${marker}\n`));
    });

    const done = operations.init(ANEW);

    if (isSame) expect((await done).repositoryId).toBe(JSON.parse(marker).repository_id);
    else
      await expect(done).rejects.toMatchObject({
        code: "REPOSITORY_MISMATCH",
        message: expect.stringContaining("meanwhile"),
      });
  });

  it("makes nothing while a storage is away, which may hold the repository, and is done when that is back", async () => {
    const site = await openSite({ storages: { second: "replica", third: "replica" } });
    const folders = [site.repositoryDirectory, join(site.directory, "third")];
    for (const folder of folders) rmSync(folder, { recursive: true });
    const { adapters } = site.session;
    const local = adapters.storages.local!;
    const away: typeof local.open = async (options, context) => {
      if (context.name !== "second") return local.open(options, context);
      throw new BackupctlError("STORAGE_FAILED", 'storage "second" cannot be reached', { retryable: true });
    };
    const storages = { ...adapters.storages, local: { ...local, open: away } };
    const operations = await site.reopen({ adapters: { ...adapters, storages } });

    await expect(operations.init(ANEW)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining('no storage is prepared without "second": '),
      hint: expect.stringContaining("backupctl init"),
    });

    expect(folders.filter((folder) => existsSync(folder))).toEqual([]);
    expect((await site.operations.init(ANEW)).storages).toMatchObject([
      { name: "local", created: true },
      { name: "second", created: false },
      { name: "third", created: true },
    ]);
  });

  it("fails early when the key can't be had", async () => {
    const site = await openSite();
    rmSync(join(site.directory, "main.key"));

    rmSync(site.repositoryDirectory, { recursive: true });

    await expect((await site.reopen()).init(ANEW)).rejects.toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND" });
    expect(existsSync(site.repositoryDirectory)).toBe(false);
    writeFileSync(join(site.directory, "main.key"), "junk");
    await expect((await site.reopen()).init(ANEW)).rejects.toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND" });
  });

  it("writes a runbook that names sources, storages and keys but no key and no path of a source, and refreshes it", async () => {
    const site = await openSite();
    const runbook = join(site.repositoryDirectory, "recovery/README.txt");
    await site.operations.init(ANEW);
    writeFileSync(runbook, "old");

    await site.operations.init(ANEW);

    const text = readFileSync(runbook, "utf8");
    expect(text).toMatch(/www +files, engine files/);
    expect(text).toContain(`local:${site.repositoryDirectory}`);
    expect(text).toMatch(/main +provider local/);
    expect(text).toContain("node recover.mjs list");
    expect(text).not.toContain(readFileSync(join(site.directory, "main.key"), "utf8").trim());
    expect(text).not.toContain(join(site.directory, "www"));
  });
});

describe("config validate", () => {
  it("counts what is there, and opens nothing", async () => {
    const site = await openSite();
    rmSync(site.repositoryDirectory, { recursive: true });

    expect(await site.operations.validateConfig()).toMatchObject({ sources: 1, storages: 1, warnings: [] });
  });

  it("refuses a key that can't be read", async () => {
    const site = await openSite();
    rmSync(join(site.directory, "main.key"));

    await expect((await site.reopen()).validateConfig()).rejects.toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND" });
  });

  it("refuses a key that can be read and is none", async () => {
    const site = await openSite();
    writeFileSync(join(site.directory, "main.key"), "junk");

    await expect((await site.reopen()).validateConfig()).rejects.toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND" });
  });

  it("refuses a configuration that backs nothing up", async () => {
    const site = await openSite({ sources: "" });

    await expect(site.operations.validateConfig()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: "no source is configured",
    });
  });

  it("refuses a target whose secret can't be read", async () => {
    const shop = `  shop: {engine: postgres, url: "postgres://u@h/x"}`;
    const more = `targets: {staging: {sources: {shop: {password_file: "{dir}/nowhere"}}}}`;
    const site = await openSite({ sources: shop, more });

    await expect(site.operations.validateConfig()).rejects.toMatchObject({
      message: expect.stringContaining("targets.staging.sources.shop.password_file"),
    });
  });

  it("names the source whose options can't be taken", async () => {
    const site = await openSite({ sources: `  shop: {engine: postgres, url: "postgres://h:99999/x"}` });

    await expect(site.operations.validateConfig()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining('source "shop"'),
    });
  });

  it("refuses two storages in one place, and create keeps no second copy there", async () => {
    const site = await openSite();
    const operations = await site.reopen({ loaded: await loadedWithTwin(site) });

    await expect(operations.validateConfig()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining('"local" and "twin" are one place'),
    });
    expect(await operations.create(NO_CHOICES)).toMatchObject({
      storages: [
        { name: "local", state: "complete" },
        { name: "twin", state: "pending" },
      ],
    });
  });
});

function loadedWithTwin({ directory, repositoryDirectory }: OpenSite): Promise<LoadedConfig> {
  const path = join(directory, "backup.config.yaml");
  const twin = `  twin: {type: local, path: "${repositoryDirectory}/."}\n`;
  writeFileSync(path, readFileSync(path, "utf8").replace("encryption:", `${twin}encryption:`));
  return loadConfig({ path, env: {}, cwd: directory });
}
