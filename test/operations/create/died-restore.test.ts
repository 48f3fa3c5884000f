import { expect, it } from "vitest";
import { createOne, openSite } from "../../helpers/open-site.ts";

it("the backup after a restore that died says once that the place may be neither old nor new", async () => {
  const site = await openSite();
  const backup = await createOne(site);
  const catalog = await site.context.catalog("write");
  const died = { id: "r1", backupId: backup.id, at: "2026-01-11T02:00:00.000Z", target: "in place", sources: ["www"] };
  catalog.addRestore({ ...died, status: "running", bytes: 0, seconds: 0 });

  await createOne(site);
  const said = site.warnings.splice(0);
  await createOne(site);

  expect(said).toEqual([
    expect.stringMatching(
      /^a restore of www \(in place\) that began at 2026-01-11T02:00:00.000Z died: .*neither old nor new/,
    ),
  ]);
  expect(site.warnings).toEqual([]);
});
