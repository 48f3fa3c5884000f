import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

const ALL_OF_IT = { all: false, deep: false, quick: false, components: [] };

it("where no storage can be had it is said of each", async () => {
  const site = await openSite({ replica: true });
  const { id } = await createOne(site);
  for (const folder of [site.repositoryDirectory, join(site.directory, "replica")]) rmSync(folder, { recursive: true });
  const operations = await site.reopen();
  const failure = {
    code: "STORAGE_NOT_FOUND",
    message: expect.stringContaining('storage "local"'),
    lines: [expect.stringContaining('storage "second"')],
    data: { others: [{ storage: "second", code: "STORAGE_NOT_FOUND" }] },
  };

  await expect(operations.create(NO_CHOICES)).rejects.toMatchObject(failure);
  await expect(operations.rebuildCatalog()).rejects.toMatchObject(failure);
  await expect(operations.verify({ ...ALL_OF_IT, reference: id })).rejects.toMatchObject(failure);
});
