import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { encodeRepositoryMarker } from "../../../src/format/repository-marker.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { addFile, createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";
import { download, namesIn, restore, www } from "../restore/tools.ts";

const PAGE = { limit: 10, offset: 0 };
const QUICK = { reference: "latest", all: false, deep: false, quick: true, components: [] };
const OTHER = { repositoryId: "11111111-2222-4333-8444-555555555555", created: "2026-01-01T00:00:00.000Z" };

async function twoCopies(): Promise<OpenSite> {
  const site = await openSite({ replica: true });
  await createOne(site);
  addFile(site);
  await createOne(site, { mode: "incremental" });
  return site;
}

function withoutCatalog({ directory, session, reopen }: OpenSite): Promise<Operations> {
  const { loaded } = session;
  return reopen({ loaded: { ...loaded, config: { ...loaded.config, stateDir: join(directory, "elsewhere") } } });
}

function raiseSchema(catalog: string): void {
  const database = new Sqlite(catalog);
  database.pragma("user_version = 9999");
  database.close();
}

/** As list, show, verify, download and restore open it. */
async function reader({ directory, reopen }: OpenSite): Promise<Operations> {
  const path = join(directory, "backup.config.yaml");
  return reopen({ loaded: await loadConfig({ path, env: {}, cwd: directory, mode: "rescue" }) });
}

const AWAY: readonly [string, (repository: string) => void][] = [
  ["is not mounted", (repository) => renameSync(repository, `${repository}.unplugged`)],
  [
    "is another, empty disk",
    (repository) => {
      renameSync(repository, `${repository}.unplugged`);
      mkdirSync(repository);
    },
  ],
  ["has lost its marker", (repository) => rmSync(join(repository, "backupctl.json"))],
  ["has a damaged marker", (repository) => writeFileSync(join(repository, "backupctl.json"), "{")],
];

describe.each(AWAY)("with a primary storage that %s", (_, takeAway) => {
  it.each(["as it is", "gone", "of a newer release"])(
    "everything is read from a replica, with a catalog that is %s",
    async (catalog) => {
      const site = await twoCopies();
      takeAway(site.repositoryDirectory);
      if (catalog === "of a newer release") raiseSchema((await statePaths(site.session)).catalog);
      const operations = catalog === "gone" ? await withoutCatalog(site) : await site.reopen();
      const to = join(site.directory, "out");

      const { backups } = await operations.list(PAGE);
      const { copies } = await operations.show("latest");
      const verified = await operations.verify({
        reference: "latest",
        all: false,
        deep: false,
        quick: false,
        components: [],
      });
      const { files } = await download(operations, { to: join(site.directory, "tars") });
      const restored = await restore(operations, { latest: true, to });

      expect(backups).toHaveLength(2);
      expect(copies).toContainEqual(expect.objectContaining({ storage: "second", state: "complete" }));
      expect(verified).toMatchObject({ passed: true, backups: [{ storage: "second" }] });
      expect(files).toHaveLength(1);
      expect(restored.sources).toMatchObject([{ status: "completed" }]);
      expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
      expect(site.warnings.filter((line) => /^storage "local" is left out: /.test(line)).length).toBe(1);
    },
  );

  it("a rebuild keeps what is known of its copies", async () => {
    const site = await twoCopies();
    takeAway(site.repositoryDirectory);
    const operations = await site.reopen();

    const { found } = await operations.rebuildCatalog();

    expect(found).toBe(2);
    const { copies } = await operations.show("latest");
    expect(copies.map(({ storage, state }) => `${storage} ${state}`).sort()).toEqual([
      "local complete",
      "second complete",
    ]);
  });
});

it("where none of the storages can be had the primary's own reason is said", async () => {
  const site = await twoCopies();
  for (const directory of [site.repositoryDirectory, join(site.directory, "replica")])
    rmSync(directory, { recursive: true });

  const restored = restore(await site.reopen(), { latest: true, to: join(site.directory, "out") });

  await expect(restored).rejects.toMatchObject({
    code: "STORAGE_NOT_FOUND",
    message: expect.stringContaining("local"),
  });
});

it("without a catalog to go by, whoever reads goes by the primary", async () => {
  const site = await twoCopies();
  const { catalog } = await statePaths(site.session);
  writeFileSync(catalog, "no database");

  const { backups } = await (await reader(site)).list(PAGE);

  expect(backups).toHaveLength(2);
});

it("a backup that only its directory tells of is found in a replica, too", async () => {
  const site = await twoCopies();
  const { id } = (await site.operations.list(PAGE)).backups[0] ?? { id: "" };
  const directory = await site.backupDirectory();
  const second = directory.replace(site.repositoryDirectory, join(site.directory, "replica"));
  for (const copy of [directory, second]) rmSync(join(copy, "metadata.json"));
  rmSync(site.repositoryDirectory, { recursive: true });

  const restored = restore(await withoutCatalog(site), { reference: id, to: join(site.directory, "out") });

  await expect(restored).rejects.toMatchObject({
    code: "BACKUP_CORRUPTED",
    message: expect.stringContaining('metadata.json is missing in storage "second"'),
  });
});

describe("with a primary storage that holds another repository", () => {
  function replaceDisk({ repositoryDirectory }: OpenSite): void {
    renameSync(repositoryDirectory, `${repositoryDirectory}.unplugged`);
    mkdirSync(repositoryDirectory);
    writeFileSync(join(repositoryDirectory, "backupctl.json"), encodeRepositoryMarker(OTHER));
  }

  function putBack({ repositoryDirectory }: OpenSite): void {
    rmSync(repositoryDirectory, { recursive: true });
    renameSync(`${repositoryDirectory}.unplugged`, repositoryDirectory);
  }

  it("a replica of the catalog's is read, which is said, and the catalog stays", async () => {
    const site = await twoCopies();
    replaceDisk(site);
    const operations = await reader(site);
    const to = join(site.directory, "out");

    const { backups } = await operations.list(PAGE);
    const verified = await operations.verify(QUICK);
    await restore(operations, { latest: true, to });
    const { found } = await operations.rebuildCatalog();

    expect(backups).toHaveLength(2);
    expect(verified).toMatchObject({ passed: true, backups: [{ storage: "second" }] });
    expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
    expect(found).toBe(2);
    expect(site.warnings.join("\n")).toContain(
      `storage "local" is left out: it belongs to repository ${OTHER.repositoryId}, not`,
    );
    putBack(site);
    const { copies } = await (await site.reopen()).show("latest");
    expect(copies.map(({ storage }) => storage).sort()).toEqual(["local", "second"]);
  });

  it("and without a replica, what lies there is read, and the catalog stays until it is made anew", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    replaceDisk(site);

    const refused = (await reader(site)).verify(QUICK);

    await expect(refused).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
    expect(site.warnings.join("\n")).toMatch(/the catalog is of repository .*; the storages are read instead/);
    putBack(site);
    expect((await (await reader(site)).list(PAGE)).backups.map((backup) => backup.id)).toEqual([id]);
    replaceDisk(site);
    expect(await (await reader(site)).rebuildCatalog()).toMatchObject({ found: 0 });
    expect(site.warnings.join("\n")).toMatch(/the catalog was of another repository .* and set aside/);
  });
});

it("a primary that was made anew, empty, does not hide what the replica has from who lost the catalog", async () => {
  const site = await twoCopies();
  rmSync(site.repositoryDirectory, { recursive: true });
  await (await site.reopen()).init({ configPath: undefined, storagePath: undefined });

  const { backups } = await (await withoutCatalog(site)).list(PAGE);

  expect(backups).toHaveLength(2);
});
