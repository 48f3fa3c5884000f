import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createOne, openSite } from "../../helpers/open-site.ts";

const ALL = { all: true, deep: false, quick: true, components: [] };

/** A backup that is whole, beside which somebody put a `deleted.json`. */
async function markedSite() {
  const site = await openSite();
  const { id } = await createOne(site);
  writeFileSync(join(await site.backupDirectory(), "deleted.json"), "{}");
  return { site, id };
}

it("a mark of a deletion beside a backup that is whole is named by its verification, which passes", async () => {
  const { site, id } = await markedSite();

  const { passed } = await site.operations.verify(ALL);

  expect(passed).toBe(true);
  expect(site.warnings.join("\n")).toMatch(new RegExp(`backup ${id} .*/deleted\\.json in storage "local"`));
});

it("a backup that counts as being deleted is not passed over in silence", async () => {
  const { site, id } = await markedSite();
  const other = await createOne(site);
  await site.operations.rebuildCatalog();
  site.warnings.splice(0);

  const { backups } = await site.operations.verify(ALL);

  expect(backups).toMatchObject([{ backupId: other.id }]);
  expect(site.warnings).toContain(`backup ${id} is passed over, since it is being deleted`);
});
