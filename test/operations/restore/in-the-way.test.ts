import * as fs from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { canMount, mountOn } from "../../helpers/mounted-file.ts";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { NOTHING_ASKED, restore, www } from "./tools.ts";

/** A site that is backed up with `first` and `last`; then `first` changes. */
async function changedSite() {
  const site = await openSite();
  for (const name of ["aa-first", "zz-last"]) fs.writeFileSync(join(www(site), name), "backed up");
  await createOne(site);
  fs.writeFileSync(join(www(site), "aa-first"), "changed since");
  return { site, first: join(www(site), "aa-first"), last: join(www(site), "zz-last") };
}

it("a folder in the way of a file is refused by the plan, before any file is replaced", async () => {
  const { site, first, last } = await changedSite();
  fs.rmSync(last);
  fs.mkdirSync(join(last, "x"), { recursive: true });

  const asked = { ...NOTHING_ASKED, latest: true, overwrite: true };
  const plan = await site.operations.planRestore(asked);
  await expect(site.operations.restore(asked, plan)).rejects.toMatchObject({
    code: "TARGET_NOT_EMPTY",
    message: `${last} is a folder that is not empty, and none in the backup`,
    hint: expect.stringContaining("--delete"),
  });

  expect(plan.refusals).toHaveLength(1);
  expect(fs.readFileSync(first, "utf8")).toBe("changed since");
});

it("a folder in the way goes with --delete, and an empty one without", async () => {
  const { site, last } = await changedSite();
  fs.rmSync(last);
  fs.mkdirSync(last);
  await restore(site.operations, { latest: true, overwrite: true });
  expect(fs.readFileSync(last, "utf8")).toBe("backed up");

  fs.rmSync(last);
  fs.mkdirSync(join(last, "x"), { recursive: true });
  await restore(site.operations, { latest: true, overwrite: true, delete: true });
  expect(fs.readFileSync(last, "utf8")).toBe("backed up");
});

it("a folder behind a link is in nobody's way", async () => {
  const { site, last } = await changedSite();
  fs.mkdirSync(join(site.directory, "elsewhere/x"), { recursive: true });
  fs.rmSync(last);
  fs.symlinkSync(join(site.directory, "elsewhere"), last);

  await restore(site.operations, { latest: true, overwrite: true });

  expect(fs.lstatSync(last).isFile()).toBe(true);
  expect(fs.readdirSync(join(site.directory, "elsewhere"))).toEqual(["x"]);
});

it.runIf(canMount)("a file on which another is mounted is named, with what ends that", async () => {
  const { site, last } = await changedSite();
  mountOn(last);

  await expect(restore(site.operations, { latest: true, overwrite: true })).rejects.toMatchObject({
    code: "RESTORE_FAILED",
    message: `${last} can't be written or replaced (EBUSY)`,
    hint: expect.stringContaining("unmount that"),
  });
});
