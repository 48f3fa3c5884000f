import * as fs from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { createOne, openSite, WWW, withFaults } from "../../helpers/open-site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { NOTHING_ASKED, restore } from "./tools.ts";

/** Symlinks that somebody plants when the plan is made already, and what a restore that died left. */

const SOURCES = `${WWW}
  list: {engine: command, command: "echo list"}`;

async function siteWithPlan(asked: { readonly to: string; readonly sources?: readonly string[] }, base: string) {
  const site = await openSite({ sources: SOURCES, directory: base });
  await createOne(site);
  const request = { ...NOTHING_ASKED, latest: true, ...asked };
  const plan = await site.operations.planRestore(request);
  const live = join(base, "live");
  fs.mkdirSync(live);
  return { site, live, restored: () => site.operations.restore(request, plan) };
}

it.each([
  ["the target itself", "T", "T"],
  ["a folder above it", "T/deeper/to", "T"],
  ["the folder of one of several sources", "T", "T/www"],
])("is not followed where it is %s", async (_, to, planted) => {
  const base = tempDir();
  const { live, restored } = await siteWithPlan({ to: join(base, to) }, base);
  fs.mkdirSync(join(base, planted, ".."), { recursive: true });
  fs.symlinkSync(live, join(base, planted));

  await expect(restored()).rejects.toMatchObject({ hint: expect.any(String) });

  expect(fs.readdirSync(live)).toEqual([]);
});

it.each([
  ["beside a new target", "fresh", ".fresh.backupctl-0123abcd"],
  ["in an empty one", "empty", "empty/.empty.backupctl-0123abcd"],
])("what a restore that died had made %s is removed and named by the next one", async (_, target, left) => {
  const site = await openSite();
  await createOne(site);
  const base = tempDir();
  fs.mkdirSync(join(base, "empty"));
  fs.mkdirSync(join(base, left, "deeper"), { recursive: true });

  const { warnings } = await restore(site.operations, { latest: true, to: join(base, target) });

  expect(warnings.join("\n")).toContain(`died before: what it had made, ${join(base, left)}, was removed`);
  expect(fs.existsSync(join(base, left))).toBe(false);
});

it("what can't be removed of a restore that failed is said, and so is why it failed", async () => {
  const site = await openSite();
  await createOne(site);
  const base = tempDir();
  const operations = await withFaults(site, (storage) =>
    storage.onKey("get", /www\.tree/).meanwhile(() => {
      const names = fs.readdirSync(base, { recursive: true, encoding: "utf8" });
      const stage = names.find((name) => /\.backupctl-[0-9a-f]{8}$/.test(name));
      if (stage === undefined) return;
      if (!fs.existsSync(join(base, "taken"))) fs.renameSync(join(base, stage), join(base, "taken"));
      fs.writeFileSync(join(base, stage), "");
      throw new BackupctlError("STORAGE_FAILED", "the line is cut");
    }),
  );

  await expect(restore(operations, { latest: true, to: join(base, "to") })).rejects.toThrow("the line is cut");

  expect(site.warnings).toContainEqual(
    expect.stringMatching(/^what was made for source "www" beside .* could not be removed: ENOTDIR/),
  );
});
