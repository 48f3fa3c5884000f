import { cpSync, existsSync, linkSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readTreeIndex } from "../../../src/format/index-reader.ts";
import { openContents } from "../../../src/operations/repository/backup-contents.ts";
import { readBackup } from "../../../src/operations/repository/repository.ts";
import { compareContents, compareTree } from "../../../src/operations/restore/compare.ts";
import { restoreSourceTo } from "../../../src/operations/restore/scratch.ts";
import { openTreeTarget } from "../../../src/platform/tree/tree-writer.ts";
import { createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";
import { damageData, fillEveryKind, haveTreeTools, www } from "./tools.ts";

async function openNewest(site: OpenSite) {
  const repository = await site.context.repository();
  const primary = await repository.storage(repository.primaryName);
  const [newest] = (await site.context.catalog("read")).list({ limit: 1 }).backups;
  const { metadata } = await readBackup(repository, primary, newest?.storagePath ?? "");
  return openContents(site.context, [primary.name], metadata);
}

test.runIf(haveTreeTools)("a source restored to a scratch place is read back and compared", async () => {
  const site = await openSite();
  fillEveryKind(www(site));
  await createOne(site);
  const contents = await openNewest(site);
  const scratch = join(site.directory, "scratch");

  const opened = await contents.source("www");
  const { checks } = await restoreSourceTo(site.context, contents, opened, scratch);

  expect(checks.map(({ name, passed }) => [name, passed])).toEqual([
    ["entries", true],
    ["metadata", true],
    ["contents", true],
  ]);
  const at = (name: string): string => join(scratch, www(site), name);
  writeFileSync(at("d/deeper/file-3"), "x".repeat(120));
  writeFileSync(at("zeros-only"), Buffer.alloc(3_000_000, 1));
  const entries = function* () {
    for (const entry of readTreeIndex(opened.indexFile)) yield { entry, name: entry.name, isParent: false };
  };
  const { signal } = site.session;
  const compared = await compareContents(entries(), scratch, signal, () => undefined);
  expect(compared).toMatchObject({
    passed: false,
    detail: expect.stringMatching(/file-3 differs.*zeros-only differs/),
  });
  await contents.close();
});

test("what differs from the index in structure is named, entry by entry", async () => {
  const site = await openSite();
  symlinkSync("index.html", join(www(site), "link"));
  linkSync(join(www(site), "index.html"), join(www(site), "twin"));
  await createOne(site);
  const contents = await openNewest(site);
  const scratch = join(site.directory, "scratch");
  const opened = await contents.source("www");
  await restoreSourceTo(site.context, contents, opened, scratch);
  const at = (name: string): string => join(scratch, www(site), name);

  rmSync(at("uploads/small.txt"));
  truncateSync(at("uploads/large.bin"), 5);
  for (const name of ["link", "twin"]) rmSync(at(name));
  symlinkSync("elsewhere", at("link"));
  cpSync(at("index.html"), at("twin"));

  const tree = openTreeTarget(scratch, { overwrite: false });
  const entries = [...readTreeIndex(opened.indexFile)].map((entry) => ({ entry, name: entry.name, isParent: false }));
  const [structure] = await compareTree(entries, tree, new Set(), site.session.signal);
  tree.close();
  expect(structure).toMatchObject({ passed: false });
  for (const problem of [
    "small.txt is missing",
    "large.bin has 5 bytes instead of 3145728",
    "link points elsewhere",
    "twin is not linked to its peers",
  ])
    expect(structure?.detail).toContain(problem);
  await contents.close();
});

test("a source that the backup does not have is not found", async () => {
  const site = await openSite();
  await createOne(site);
  const contents = await openNewest(site);

  await expect(contents.source("music")).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
  await contents.close();
});

test("a damaged source is said to be, and leaves nothing in the scratch place", async () => {
  const site = await openSite();
  await createOne(site);
  damageData(await site.backupDirectory(), "www");
  const contents = await openNewest(site);
  const scratch = join(site.directory, "scratch");

  const failed = restoreSourceTo(site.context, contents, await contents.source("www"), scratch);

  await expect(failed).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
  expect(existsSync(scratch)).toBe(false);
  await contents.close();
});
