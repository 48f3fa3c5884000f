import { join } from "node:path";
import { expect, it } from "vitest";
import type { RestoreStage } from "../../../src/domain/unfinished-restore.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { addFile, createOne, type OpenSite, openSite, WWW, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { restore, www } from "../restore/tools.ts";

const MORE = `${WWW}
  copy: {engine: command, command: [echo, hello]}`;
const IN_PLACE = "in place";

/** A restore of `www` that was killed. */
async function siteWithDied(target: string, stage: RestoreStage): Promise<OpenSite> {
  const site = await openSite({ sources: MORE });
  const { id: backupId } = await createOne(site);
  const catalog = await site.context.catalog("write");
  const places = [{ source: "www", place: www(site), stage, marked: false }];
  const row = { id: "r1", backupId, at: "2026-01-11T02:00:00.000Z", target, places, bytes: 0, seconds: 0 };
  catalog.addRestore({ ...row, status: "running" });
  site.warnings.splice(0);
  return site;
}

async function marksOf(site: OpenSite, id: string): Promise<string> {
  return ((await site.operations.show(id)).metadata?.warnings ?? []).join("\n");
}

it("the backup after a restore that died says once, and for good, that the place may be neither old nor new", async () => {
  const site = await siteWithDied(IN_PLACE, "coming");

  const { id } = await createOne(site);
  const said = site.warnings.splice(0);
  await createOne(site);

  expect(said).toEqual([
    expect.stringMatching(
      /^a restore of www \(in place\) that began at 2026-01-11T02:00:00.000Z died, and .*neither old nor new/,
    ),
  ]);
  expect(site.warnings).toEqual([]);
  expect(await marksOf(site, id)).toContain(
    "a restore that began at 2026-01-11T02:00:00.000Z died, so this may be neither",
  );
});

it("a restore to a new place that died is said once to have left the place as it was", async () => {
  const site = await siteWithDied("/tmp/look", "beside");

  const { id } = await createOne(site);
  const said = site.warnings.splice(0);
  await createOne(site);

  expect(said).toEqual([expect.stringMatching(/^a restore of www \(\/tmp\/look\) .* nothing came to its place/)]);
  expect(site.warnings).toEqual([]);
  expect(await marksOf(site, id)).not.toContain("neither old nor new");
});

it("a backup of something else does not use the warning up", async () => {
  const site = await siteWithDied(IN_PLACE, "coming");

  const other = await createOne(site, { sources: ["copy"] });
  const said = site.warnings.splice(0);
  const all = await createOne(site);

  expect([said, site.warnings].map((lines) => lines.join())).toEqual([
    expect.stringContaining("neither old nor new"),
    expect.stringContaining("neither old nor new"),
  ]);
  expect(await marksOf(site, other.id)).toBe("1 warning, said when it was made");
  expect(await marksOf(site, all.id)).toContain("neither old nor new");
});

it("a restore says it as well, and uses it up when it has restored the same place as a whole", async () => {
  const site = await siteWithDied(IN_PLACE, "coming");
  const asked = { latest: true, sources: ["www"] };

  await restore(site.operations, { ...asked, to: join(site.directory, "to") });
  await restore(site.operations, { ...asked, overwrite: true, include: ["index.html"] });
  await restore(site.operations, { ...asked, overwrite: true });
  const said = site.warnings.splice(0);
  const { id } = await createOne(site);

  expect(said).toEqual(Array(3).fill(expect.stringContaining("neither old nor new")));
  expect(site.warnings).toEqual([]);
  expect(await marksOf(site, id)).toBe("");
});

it("a backup that fails does not use the warning up", async () => {
  const site = await siteWithDied(IN_PLACE, "coming");
  const faulty = await withFaults(site, (storage) =>
    storage.onKey("put", /metadata\.json/).fail(new BackupctlError("STORAGE_FAILED", "no room")),
  );
  addFile(site);
  await expect(faulty.create(NO_CHOICES)).rejects.toThrow();
  site.warnings.splice(0);

  const { id } = await createOne(site);

  expect(site.warnings.join("\n")).toContain("neither old nor new");
  expect(await marksOf(site, id)).toContain("neither old nor new");
});
