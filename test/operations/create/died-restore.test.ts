import { expect, it } from "vitest";
import type { RestoreEvent } from "../../../src/catalog/catalog.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { addFile, createOne, type OpenSite, openSite, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

/** A restore of `www` that was killed. */
async function siteWithDied(facts: Pick<RestoreEvent, "target" | "replaces">): Promise<OpenSite> {
  const site = await openSite();
  const { id: backupId } = await createOne(site);
  const catalog = await site.context.catalog("write");
  const died = { id: "r1", backupId, at: "2026-01-11T02:00:00.000Z", sources: ["www"], bytes: 0, seconds: 0 };
  catalog.addRestore({ ...died, ...facts, status: "running" });
  site.warnings.splice(0);
  return site;
}

const IN_PLACE = { target: "in place", replaces: true };

it("the backup after a restore that died says once, and for good, that the place may be neither old nor new", async () => {
  const site = await siteWithDied(IN_PLACE);

  const { id } = await createOne(site);
  const said = site.warnings.splice(0);
  await createOne(site);

  expect(said).toEqual([
    expect.stringMatching(
      /^a restore of www \(in place\) that began at 2026-01-11T02:00:00.000Z died: .*neither old nor new/,
    ),
  ]);
  expect(site.warnings).toEqual([]);
  expect((await site.operations.show(id)).metadata?.warnings).toContain(
    "www: a restore that began at 2026-01-11T02:00:00.000Z died; this may be neither old nor new",
  );
});

it("a restore to a new place that died is said to have left the place as it was", async () => {
  const site = await siteWithDied({ target: "/tmp/look", replaces: false });

  const { id } = await createOne(site);

  expect(site.warnings).toEqual([
    expect.stringMatching(/^a restore of www \(\/tmp\/look\) .* nothing came to its place/),
  ]);
  expect((await site.operations.show(id)).metadata?.warnings.join()).not.toContain("neither old nor new");
});

it("a backup that fails does not use the warning up", async () => {
  const site = await siteWithDied(IN_PLACE);
  const faulty = await withFaults(site, (storage) =>
    storage.onKey("put", /metadata\.json/).fail(new BackupctlError("STORAGE_FAILED", "no room")),
  );
  addFile(site);
  await expect(faulty.create(NO_CHOICES)).rejects.toThrow();
  site.warnings.splice(0);

  const { id } = await createOne(site);

  expect(site.warnings.join("\n")).toContain("neither old nor new");
  expect((await site.operations.show(id)).metadata?.warnings.join()).toContain("neither old nor new");
});
