import * as fs from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, it } from "vitest";
import type { Operations } from "../../../src/operations/operations.ts";
import { ownFolders } from "../../../src/operations/restore/own-folders.ts";
import { createOne, type OpenSite, objectsIn, openSite, WWW } from "../../helpers/open-site.ts";
import { download, NOTHING_ASKED, namesIn, restore, www } from "./tools.ts";

const APP = `  app: {engine: sqlite, path: "{dir}/app.db"}`;

async function siteWithBoth(more?: string): Promise<OpenSite> {
  const site = await openSite({ sources: `${WWW}\n${APP}`, ...(more === undefined ? {} : { more }) });
  new Sqlite(join(site.directory, "app.db")).exec("create table t (a)").close();
  await createOne(site);
  return site;
}

/** Everything is as it was. */
async function untouched(site: OpenSite, attempt: () => Promise<unknown>): Promise<void> {
  const before = [objectsIn(site), fs.readdirSync(join(site.directory, "state"))];
  await attempt();
  expect([objectsIn(site), fs.readdirSync(join(site.directory, "state"))]).toEqual(before);
}

describe("a restore into what is backupctl's own", () => {
  const places = [
    ["repository", 'the folder of storage "local"'],
    ["repository/look", 'the folder of storage "local"'],
    ["state", "the state directory"],
    ["state/look", "the state directory"],
  ] as const;

  it("is refused for a tree, a database and a download, with nothing written", async () => {
    const site = await siteWithBoth();

    await untouched(site, async () => {
      for (const [name, what] of places) {
        const to = join(site.directory, name);
        const refusal = {
          code: "USAGE",
          message: expect.stringContaining(what),
          hint: expect.stringContaining("--to"),
        };
        for (const source of ["www", "app"]) {
          const asked = { latest: true, sources: [source], to, overwrite: true };
          await expect(restore(site.operations, asked), `${source} to ${name}`).rejects.toMatchObject(refusal);
        }
        await expect(download(site.operations, { to }), name).rejects.toMatchObject(refusal);
      }
    });
  });

  it("is refused through a link, and for each of several sources", async () => {
    const site = await siteWithBoth();
    const to = join(site.directory, "link");
    fs.symlinkSync(site.repositoryDirectory, to);

    await untouched(site, async () => {
      const plan = await site.operations.planRestore({ ...NOTHING_ASKED, latest: true, to });
      expect(plan.refusals.map(({ code }) => code)).toEqual(["USAGE", "USAGE"]);
      await expect(download(site.operations, { to })).rejects.toMatchObject({ code: "USAGE" });
    });
  });

  it("is refused for a target of the config", async () => {
    const more = `targets: {lost: {sources: {www: {paths: ["{dir}/repository/www"]}, app: {path: "{dir}/repository/app.db"}}}}`;
    const site = await siteWithBoth(more);

    await untouched(site, async () => {
      const plan = await site.operations.planRestore({ ...NOTHING_ASKED, latest: true, target: "lost" });
      expect(plan.refusals.map(({ code }) => code)).toEqual(["USAGE", "USAGE"]);
    });
  });

  it("says so before anything else that is in the way", async () => {
    const site = await siteWithBoth();

    await expect(
      restore(site.operations, { latest: true, sources: ["www"], to: site.repositoryDirectory }),
    ).rejects.toMatchObject({ code: "USAGE", message: expect.stringContaining("the folder of storage") });
  });

  it("goes on beside it, and where only something else lies around it", async () => {
    const site = await siteWithBoth();

    await restore(site.operations, { latest: true, sources: ["www"], to: `${site.repositoryDirectory}-2` });
    await restore(site.operations, { latest: true, sources: ["www"], to: site.directory, overwrite: true });

    expect(namesIn(join(`${site.repositoryDirectory}-2`, www(site)))).toEqual(namesIn(www(site)));
    expect(namesIn(join(site.directory, www(site)))).toEqual(namesIn(www(site)));
  });

  it("goes on where a storage can't say where it lies", async () => {
    const site = await siteWithBoth();
    const operations = await withStorageAt(site, undefined);

    await restore(operations, { latest: true, sources: ["www"], to: join(site.directory, "look") });

    expect(namesIn(join(site.directory, "look", www(site)))).toEqual(namesIn(www(site)));
  });
});

/** The site's operations, with one more storage on this host. */
function withStorageAt(site: OpenSite, path: string | undefined): Promise<Operations> {
  const { loaded } = site.session;
  const { config, resolveStorage } = loaded;
  const more = config.storages.map((storage) => ({ ...storage, name: "more" }));
  return site.reopen({
    loaded: {
      ...loaded,
      config: { ...config, storages: [...config.storages, ...more] },
      resolveStorage: async (name) => (name === "more" ? { path } : resolveStorage(name)),
    },
  });
}

describe("a storage below the place of a restore", () => {
  const overwriting = { latest: true, overwrite: true } as const;

  it("gets nothing of what the backup has at its name", async () => {
    const site = await openSite();
    await createOne(site);
    const storage = join(site.directory, "look", www(site), "uploads");
    fs.mkdirSync(storage, { recursive: true });
    const operations = await withStorageAt(site, storage);

    await expect(restore(operations, { ...overwriting, to: join(site.directory, "look") })).rejects.toMatchObject({
      code: "USAGE",
      message: `source "www" would be restored into ${storage}, the folder of storage "more"`,
    });
    expect(namesIn(storage)).toEqual([]);
  });

  it("is not removed because the backup has it not", async () => {
    const site = await openSite();
    await createOne(site);
    const storage = join(www(site), "backups");
    fs.mkdirSync(storage);
    fs.writeFileSync(join(storage, "pack"), "");
    const operations = await withStorageAt(site, storage);

    await expect(restore(operations, { ...overwriting, delete: true })).rejects.toMatchObject({
      code: "USAGE",
      message: `--delete for source "www" would remove what lies in ${storage}, the folder of storage "more"`,
      hint: expect.stringContaining("exclude"),
    });
    await restore(operations, overwriting);

    expect(namesIn(storage)).toEqual(["pack"]);
  });

  it("is not removed for a file that the backup has in its place", async () => {
    const site = await openSite();
    const storage = join(www(site), "index.html");
    await createOne(site);
    fs.rmSync(storage);
    fs.mkdirSync(storage);
    const operations = await withStorageAt(site, storage);

    await expect(restore(operations, { ...overwriting, delete: true })).rejects.toMatchObject({ code: "USAGE" });

    expect(fs.statSync(storage).isDirectory()).toBe(true);
  });

  it("stays where the source excludes it, and what else the backup has not goes", async () => {
    const site = await openSite({
      sources: `  www: {engine: files, paths: ["{dir}/www"], exclude: [/backups/]}`,
    });
    await createOne(site);
    const storage = join(www(site), "backups");
    fs.mkdirSync(storage);
    fs.writeFileSync(join(storage, "pack"), "");
    fs.writeFileSync(join(www(site), "extra"), "");
    const operations = await withStorageAt(site, storage);

    await restore(operations, { ...overwriting, delete: true });

    expect(namesIn(storage)).toEqual(["pack"]);
    expect(fs.existsSync(join(www(site), "extra"))).toBe(false);
  });
});

it("a source that lies in a storage's folder comes back to its own place", async () => {
  const site = await openSite();
  await createOne(site);
  const operations = await withStorageAt(site, site.directory);

  await restore(operations, { latest: true, overwrite: true, delete: true });

  expect(namesIn(www(site))).toContain("index.html");
});

it("a state directory that nobody can look into is where its name says", async () => {
  const { session, directory } = await openSite();
  const stateDir = join(directory, "loop");
  fs.symlinkSync(stateDir, stateDir);
  const { loaded } = session;

  const folders = await ownFolders({ ...session, loaded: { ...loaded, config: { ...loaded.config, stateDir } } });

  expect(folders[0]).toEqual({ path: stateDir, what: "the state directory" });
});
