import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, it } from "vitest";
import { changed } from "../../../src/storage/resilient/changed.ts";
import { addFile, createOne, openSite, withStorages } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

it("an incremental is a full backup where no configured key opens the one before, and says so", async () => {
  const site = await openSite();
  await createOne(site);
  writeFileSync(join(site.directory, "main.key"), "ab".repeat(32));
  addFile(site);

  const { plan } = await (await site.reopen()).create({ ...NO_CHOICES, mode: "incremental" });

  expect(plan).toMatchObject({
    mode: "full",
    modeReason: expect.stringContaining("none of the configured keys opens it"),
  });
});

it("an incremental is a full backup where the keys of the one before are damaged, and names them", async () => {
  const site = await openSite();
  await createOne(site);
  const directory = await site.backupDirectory();
  const keys = readdirSync(directory).find((name) => name.startsWith("keys-")) ?? "";
  writeFileSync(join(directory, keys), "{");

  const { plan } = await (await site.reopen()).create({ ...NO_CHOICES, mode: "incremental" });

  expect(plan).toMatchObject({ mode: "full", modeReason: expect.stringContaining(keys) });
});

it("the members of a chain are looked at several at a time: each look takes a slow storage its time", async () => {
  const site = await openSite();
  await createOne(site);
  for (let n = 0; n < 4; n++) {
    addFile(site);
    await site.create({ mode: "incremental" });
  }
  addFile(site);
  let underWay = 0;
  let most = 0;
  const operations = await withStorages(site, (storage) =>
    changed(storage, {
      async *list(prefix, options) {
        underWay += 1;
        most = Math.max(most, underWay);
        await setTimeout(20);
        yield* storage.list(prefix, options);
        underWay -= 1;
      },
    }),
  );

  const { plan } = await operations.create({ ...NO_CHOICES, mode: "incremental" });

  expect(plan.mode).toBe("incremental");
  expect(most).toBe(5);
});
