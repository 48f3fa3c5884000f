import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { addFile, createOne, openSite } from "../../helpers/open-site.ts";
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
