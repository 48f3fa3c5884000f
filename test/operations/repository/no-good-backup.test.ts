import { readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Operations } from "../../../src/operations/operations.ts";
import { createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";
import { damageData, NOTHING_ASKED } from "../restore/tools.ts";

const ALL = { all: true, deep: false, quick: false, components: [] };

const SPOILT: readonly (readonly [string, (directory: string) => void])[] = [
  ["is not JSON", (directory) => writeFileSync(join(directory, "metadata.json"), "{")],
  ["is too large", (directory) => truncateSync(join(directory, "metadata.json"), 64 * 2 ** 20 + 1)],
  ["is missing", (directory) => rmSync(join(directory, "metadata.json"))],
];

async function withoutCatalog(site: OpenSite): Promise<Operations> {
  rmSync(site.session.loaded.config.stateDir, { recursive: true });
  return site.reopen();
}

function verify(operations: Operations, reference: string) {
  return operations.verify({ ...ALL, all: false, reference });
}

function restoreTo(site: OpenSite, operations: Operations, reference: string) {
  return operations.planRestore({ ...NOTHING_ASKED, reference, to: join(site.directory, "to") });
}

describe.each(SPOILT)("the only backup, whose metadata.json %s,", (_, spoil) => {
  it("is told as damage where no catalog knows it", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    const directory = await site.backupDirectory();
    spoil(directory);
    const operations = await withoutCatalog(site);

    const { backups } = await operations.list({ limit: 20, offset: 0 });
    const verified = await operations.verify(ALL);

    expect(backups).toMatchObject([{ id, status: "unreadable", damagedIn: ["local"] }]);
    expect(verified).toMatchObject({ passed: false, backups: [{ backupId: id }] });
    const damage = { code: "BACKUP_CORRUPTED", message: expect.stringContaining(basename(directory)) };
    for (const reference of [id, "latest"]) {
      await expect(verify(operations, reference)).rejects.toMatchObject(damage);
      await expect(operations.show(reference)).rejects.toMatchObject(damage);
      await expect(restoreTo(site, operations, reference)).rejects.toMatchObject(damage);
    }
  });
});

describe("latest, where the only backup", () => {
  it.each(SPOILT)("has failed its verification because its metadata.json %s, names it", async (_, spoil) => {
    const site = await openSite();
    const { id } = await createOne(site);
    const directory = await site.backupDirectory();
    spoil(directory);
    expect(await verify(site.operations, id)).toMatchObject({ passed: false });

    const damage = { code: "BACKUP_CORRUPTED", message: expect.stringContaining(basename(directory)) };
    await expect(verify(site.operations, "latest")).rejects.toMatchObject(damage);
    await expect(restoreTo(site, site.operations, "latest")).rejects.toMatchObject(damage);
  });

  it("has keys that nobody can read, names them", async () => {
    const site = await openSite();
    await createOne(site);
    const directory = await site.backupDirectory();
    const keys = readdirSync(directory).find((name) => name.startsWith("keys-")) ?? "";
    writeFileSync(join(directory, keys), "{");
    const operations = await withoutCatalog(site);

    const damage = { code: "BACKUP_CORRUPTED", message: expect.stringContaining(keys) };
    await expect(verify(operations, "latest")).rejects.toMatchObject(damage);
    await expect(restoreTo(site, operations, "latest")).rejects.toMatchObject(damage);
  });

  it("has a damaged pack, says that it failed its verification", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    damageData(await site.backupDirectory(), "www");
    expect(await verify(site.operations, "latest")).toMatchObject({ passed: false });

    const damage = { code: "BACKUP_CORRUPTED", hint: expect.stringContaining(`backupctl verify ${id}`) };
    await expect(verify(site.operations, "latest")).rejects.toMatchObject(damage);
    await expect(restoreTo(site, site.operations, "latest")).rejects.toMatchObject(damage);
  });
});
