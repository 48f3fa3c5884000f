import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { addFile, createOne, openSite } from "../../helpers/open-site.ts";
import { download, NOTHING_ASKED, restore } from "./tools.ts";

const PAGE = { limit: 20, offset: 0 };
const LOSSES = [
  { what: "its whole folder", lose: (directory: string) => rmSync(directory, { recursive: true }) },
  { what: "its metadata.json", lose: (directory: string) => rmSync(join(directory, "metadata.json")) },
  {
    what: "what its metadata.json said",
    lose: (directory: string) => {
      const file = join(directory, "metadata.json");
      writeFileSync(file, readFileSync(file, "utf8").replace("completed", "partial"));
    },
  },
  {
    what: "half of its metadata.json",
    lose: (directory: string) => truncateSync(join(directory, "metadata.json"), 100),
  },
] as const;

it.each(LOSSES)("a backup that lost $what is damage once, and then passed over for an older one", async (row) => {
  const site = await openSite();
  const first = await createOne(site);
  const lost = await createOne(site, { mode: "full" });
  row.lose(await site.backupDirectory());
  const asked = { latest: true, to: join(site.directory, "out") };

  await expect(restore(await site.reopen(), asked)).rejects.toMatchObject({
    code: "BACKUP_CORRUPTED",
    exitCode: 4,
    hint: expect.stringContaining("another backup"),
  });
  const { backups } = await (await site.reopen()).list(PAGE);
  const plan = await (await site.reopen()).planRestore({ ...NOTHING_ASKED, ...asked });

  expect(backups.map(({ id, damagedIn }) => [id, damagedIn])).toEqual([
    [lost.id, ["local"]],
    [first.id, []],
  ]);
  expect(plan.backup.id).toBe(first.id);
  expect(plan.warnings).toContain(`backup ${lost.id} is passed over, since it is known to be damaged`);
});

it("a copy of which a download finds nothing is remembered, and the other one stays the newest", async () => {
  const site = await openSite({ replica: true });
  const { id } = await createOne(site);
  rmSync(await site.backupDirectory(), { recursive: true });

  await download(site.operations, { to: join(site.directory, "out") });

  const { copies } = await (await site.reopen()).show("latest");
  expect(copies.map(({ storage, state }) => [storage, state]).sort()).toEqual([
    ["local", "damaged"],
    ["second", "complete"],
  ]);
  expect((await (await site.reopen()).show("latest")).id).toBe(id);
});

it("a backup that another host deleted is forgotten by the catalog that is made anew", async () => {
  const site = await openSite();
  const first = await createOne(site);
  await createOne(site, { mode: "full" });
  rmSync(await site.backupDirectory(), { recursive: true });
  const asked = { latest: true, to: join(site.directory, "out") };
  await expect(restore(site.operations, asked)).rejects.toMatchObject({
    hint: expect.stringContaining("`backupctl catalog rebuild`"),
  });

  await site.operations.rebuildCatalog();

  expect((await (await site.reopen()).list(PAGE)).backups.map(({ id }) => id)).toEqual([first.id]);
});

it("a backup whose ancestor was lost before the catalog was made anew says what it lacks", async () => {
  const site = await openSite();
  const full = await createOne(site);
  const lost = await site.backupDirectory();
  addFile(site, "later", 20_000);
  const { id } = await createOne(site, { mode: "incremental" });
  rmSync(lost, { recursive: true });
  await site.operations.rebuildCatalog();
  const to = join(site.directory, "out");

  await expect(restore(await site.reopen(), { reference: id, to })).rejects.toMatchObject({
    code: "BACKUP_CORRUPTED",
    message: expect.stringContaining("is missing"),
  });
  const asked = { reference: id, all: false, deep: false, quick: true, components: [] };
  const [verified] = (await (await site.reopen()).verify(asked)).backups;
  expect(verified?.issues).toContainEqual(
    expect.stringMatching(new RegExp(`ancestor ${full.id}: full/\\S+/metadata\\.json is missing in storage "local"`)),
  );
  expect(existsSync(to)).toBe(false);
});

it("a storage whose marker is damaged has not lost the copies that lie in it", async () => {
  const site = await openSite({ replica: true });
  await createOne(site);
  const marker = join(site.repositoryDirectory, "backupctl.json");
  const sound = readFileSync(marker);
  writeFileSync(marker, "{");

  await download(await site.reopen(), { to: join(site.directory, "out") });
  writeFileSync(marker, sound);

  const { copies } = await (await site.reopen()).show("latest");
  expect(copies.map(({ state }) => state)).toEqual(["complete", "complete"]);
});
