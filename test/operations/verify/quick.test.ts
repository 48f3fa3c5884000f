import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { FaultyStorage } from "../../helpers/faulty-storage.ts";
import { addFile, createOne, type OpenSite, openSite, withFaults } from "../../helpers/open-site.ts";

const ALL_QUICK = { all: true, deep: false, quick: true, components: [] };

async function chainOf(length: number): Promise<OpenSite> {
  const site = await openSite();
  await createOne(site);
  for (let n = 1; n < length; n++) {
    addFile(site);
    await createOne(site, { mode: "incremental" });
  }
  return site;
}

function folderOfFull(site: OpenSite): string {
  const names = readdirSync(site.repositoryDirectory, { recursive: true, encoding: "utf8" });
  return names.find((name) => /\/full-[^/]*$/.test(name)) ?? "";
}

it("a quick look at all backups asks for each of them as often, however long its chain goes on", async () => {
  const site = await chainOf(6);
  const metadata = `${folderOfFull(site)}/metadata.json`;
  const storages: FaultyStorage[] = [];
  const operations = await withFaults(site, (storage) => void storages.push(storage));

  const { passed } = await operations.verify(ALL_QUICK);

  expect(passed).toBe(true);
  const reads = storages
    .flatMap(({ calls }) => calls)
    .filter(({ operation, key }) => operation === "get" && key === metadata);
  // Itself, its notes, and once as an ancestor of five.
  expect(reads.length).toBeLessThanOrEqual(3);
});

it("what a quick look finds of an ancestor is told of each backup that builds on it", async () => {
  const site = await chainOf(3);
  rmSync(join(site.repositoryDirectory, folderOfFull(site), "www.tree.zst.enc.00000000"));

  const { backups } = await site.operations.verify(ALL_QUICK);

  expect(backups.map(({ passed, issues }) => [passed, issues.some((issue) => issue.includes("is missing"))])).toEqual([
    [false, true],
    [false, true],
    [false, true],
  ]);
});
