import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readTreeIndex } from "../../../src/format/index-reader.ts";
import { openContents } from "../../../src/operations/repository/backup-contents.ts";
import { readBackup } from "../../../src/operations/repository/repository.ts";
import { compareContents } from "../../../src/operations/restore/compare.ts";
import { restoreSourceTo } from "../../../src/operations/restore/scratch.ts";
import { createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";
import { damageData, fillEveryKind, haveTreeTools, www } from "./tools.ts";

async function openNewest(site: OpenSite) {
  const { primary } = await site.context.repository();
  const [newest] = (await site.context.catalog("read")).list({ limit: 1 }).backups;
  const { metadata } = await readBackup(await site.context.repository(), primary, newest?.storagePath ?? "");
  return openContents(site.context, primary, metadata);
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
