import { readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import { createOne, objectsIn, openSite, withFaults, withStorages } from "../../helpers/open-site.ts";
import { agedSite } from "../cleanup/aged-site.ts";

const ONCE = { force: false, lockWaitMs: 0 };
const SECURE = "secure_delete: true";

it.each([
  [undefined, []],
  ["it is flash memory", ["local", "second"]],
])("cleanup says once for each storage where secure_delete does not help (%s)", async (against, inVain) => {
  const { site, made } = await agedSite({ storageOptions: SECURE, replica: true });
  await made(60);
  await made(58);
  await made(1);
  const operations = await withStorages(site, (storage) =>
    storage.name === "local" ? changed(storage, { overwritingFails: async () => against }) : storage,
  );

  await operations.cleanup(ONCE);

  const said = site.warnings.filter((text) => text.includes("secure_delete does not help"));
  expect(said.map((text) => /in storage "(\w+)"/.exec(text)?.[1])).toEqual(inVain.length === 0 ? ["second"] : inVain);
  expect(said.join()).toContain("The data keys of the backups that were removed there are destroyed");
});

it("delete says it, too", async () => {
  const site = await openSite({ storageOptions: SECURE, replica: true });
  const { id } = await createOne(site);
  await createOne(site, { mode: "full" });
  const request = { reference: id, withDescendants: false, force: true, reason: "a test", lockWaitMs: 0 };

  await site.operations.delete(request, await site.operations.planDelete(request));

  expect(site.warnings.filter((text) => text.includes('does not help in storage "second"'))).toHaveLength(1);
});

it("nothing is said where nobody asked for it", async () => {
  const { site, made } = await agedSite();
  await made(60);
  await made(1);

  await site.operations.cleanup(ONCE);

  expect(site.warnings.filter((line) => line.includes("secure_delete"))).toEqual([]);
});

it("the data key goes before the first pack: what is left, or comes back, nobody opens", async () => {
  const { site, made } = await agedSite();
  const old = await made(60);
  await made(1);
  const operations = await withFaults(site, (storage) => {
    storage.onKey("remove", /\.tree\./).fail(new BackupctlError("STORAGE_DENIED", "it permits no delete"));
  });

  const { storages } = await operations.cleanup(ONCE);

  expect(storages[0]?.notRemoved).toMatchObject([{ backupId: old }]);
  const left = objectsIn(site).filter((key) => key.includes(old.slice(0, 8)));
  expect(left.filter((key) => /\/(keys-|metadata)/.test(key))).toEqual([]);
  expect(left.filter((key) => key.includes(".tree."))).not.toEqual([]);
  expect(readdirSync(site.repositoryDirectory)).toContain("full");
});
