import { join } from "node:path";
import { expect, it } from "vitest";
import type { CreateResult, Operations } from "../../../src/operations/operations.ts";
import { type OpenSite, openSite } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { NOTHING_ASKED, restore } from "../restore/tools.ts";

function withEncryption({ session, reopen }: OpenSite, change: { enabled: boolean; keys?: [] }): Promise<Operations> {
  const { loaded } = session;
  const encryption = { ...loaded.config.encryption, required: false, ...change };
  return reopen({ loaded: { ...loaded, config: { ...loaded.config, encryption } } });
}

async function create(operations: Operations, mode: string): Promise<NonNullable<CreateResult["backup"]>> {
  const { backup } = await operations.create({ ...NO_CHOICES, mode });
  if (backup === undefined) throw new Error("no backup was made");
  return backup;
}

it.each([true, false])(
  "with a key, and encryption enabled: %s, a backup that no key proves is one only if it is named",
  async (enabled) => {
    const site = await openSite();
    const operations = await withEncryption(site, { enabled });
    const own = await create(operations, "full");
    // Whoever can write to the storage can make such a one.
    const planted = await create(await withEncryption(site, { enabled: false, keys: [] }), "full");
    await operations.rebuildCatalog();
    const to = join(site.directory, "out");
    const refusal = { code: "BACKUP_VERIFICATION_FAILED", exitCode: 4, message: expect.stringContaining(planted.id) };
    const look = { reference: planted.id, all: false, deep: false, quick: false, components: [] };

    expect(await operations.show(planted.id)).toMatchObject({ trusted: false });
    expect(await operations.show("latest")).toMatchObject({ id: own.id });
    await expect(restore(operations, { reference: planted.id, to })).rejects.toMatchObject(refusal);
    await expect(operations.verify(look)).rejects.toMatchObject(refusal);
    expect(await operations.verify({ ...look, reference: undefined, all: true })).toMatchObject({ passed: false });
    const { warnings } = await operations.planRestore({ ...NOTHING_ASKED, latest: true, to });
    expect(warnings).toEqual([`backup ${planted.id} is passed over, since no configured key proves it`]);
    expect(await create(operations, "incremental")).toMatchObject({ parentId: own.id });

    expect(await operations.verify({ ...look, allowUnencrypted: planted.id })).toMatchObject({ passed: true });
    await restore(operations, { reference: planted.id, to, allowUnencrypted: planted.id });
  },
);

it("of several newer ones that no key proves the newest is named, and how many more", async () => {
  const site = await openSite();
  const own = await create(site.operations, "full");
  const keyless = await withEncryption(site, { enabled: false, keys: [] });
  const planted = [await create(keyless, "full"), await create(keyless, "full")];
  await site.operations.rebuildCatalog();

  const plan = await site.operations.planRestore({ ...NOTHING_ASKED, latest: true, to: join(site.directory, "out") });

  expect(plan.backup.id).toBe(own.id);
  expect(plan.warnings).toEqual([
    `backup ${planted[1]?.id} and 1 more are passed over, since no configured key proves them`,
  ]);
});

it("a full backup is made where the last one is from before there was a key", async () => {
  const site = await openSite();
  await create(await withEncryption(site, { enabled: false, keys: [] }), "full");

  expect(await create(site.operations, "incremental")).toMatchObject({ mode: "full" });
});
