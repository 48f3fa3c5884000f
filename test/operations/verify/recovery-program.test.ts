import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { createOne, openSite, withFaults } from "../../helpers/open-site.ts";

const LATEST = { reference: "latest", all: false, deep: false, quick: true, components: [] };

it.each([
  ["is missing", (file: string) => rmSync(file)],
  ["is another release's, or somebody has changed it", (file: string) => writeFileSync(file, "send(key)")],
])("a recovery program that %s is told by verify, and written anew by a repair", async (what, change) => {
  const site = await openSite();
  await createOne(site);
  const program = join(site.repositoryDirectory, "recovery/recover.mjs");
  const runbook = join(site.repositoryDirectory, "recovery/README.txt");
  const before = [program, runbook].map((file) => readFileSync(file));
  change(program);

  const found = await site.operations.verify(LATEST);
  const told = site.warnings.splice(0);
  await (await site.reopen()).verify({ ...LATEST, repair: true });
  const mended = site.warnings.splice(0);
  await (await site.reopen()).verify(LATEST);

  expect(found.passed).toBe(true);
  expect(told).toEqual([expect.stringContaining(`recovery/recover.mjs in storage "local" ${what}: the next backup`)]);
  expect(mended).toEqual([expect.stringContaining("it was written anew")]);
  expect(site.warnings).toEqual([]);
  expect([program, runbook].map((file) => readFileSync(file))).toEqual(before);
});

it("a recovery program that can't be mended is told, and the backup is verified", async () => {
  const site = await openSite();
  await createOne(site);
  writeFileSync(join(site.repositoryDirectory, "recovery/recover.mjs"), "");
  const operations = await withFaults(site, (storage) => {
    storage.onKey("remove", /recover\.mjs/).fail(new BackupctlError("STORAGE_DENIED", "nothing may be removed here"));
  });

  const { passed } = await operations.verify({ ...LATEST, repair: true });

  expect(passed).toBe(true);
  expect(site.warnings.join("\n")).toContain("could not be looked at and mended: nothing may be removed here");
});
