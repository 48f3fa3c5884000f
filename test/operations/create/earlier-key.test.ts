import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

it("a backup made with a wholly other key is made, and says once that the earlier ones can't be read with it", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  writeFileSync(join(site.directory, "main.key"), "ab".repeat(32));
  const operations = await site.reopen();

  const first = await operations.create(NO_CHOICES);
  const second = await operations.create(NO_CHOICES);

  expect(first).toMatchObject({
    backup: { status: "completed" },
    warnings: [
      expect.stringMatching(new RegExp(`^earlier backups can't be read with this config, .*${id}.* is sealed for`)),
    ],
  });
  expect(second.warnings).toEqual([]);
});

it("a backup made after one that nothing sealed has nothing to warn of", async () => {
  const site = await openSite();
  await createOne(site, { encrypt: false });

  expect((await site.create()).warnings).toEqual([]);
});
