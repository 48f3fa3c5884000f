import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { addFile, createOne, openSite } from "../../helpers/open-site.ts";

const ASKED = { all: false, deep: false, quick: false, components: [] };

/** A full backup of more blocks than are opened at once, and an incremental that builds on it. */
async function siteWithIncremental() {
  const site = await openSite();
  addFile(site, "more.bin", 10_000_000);
  const full = await createOne(site);
  const ancestor = await site.backupDirectory();
  addFile(site);
  const { id } = await createOne(site, { mode: "incremental" });
  const verify = async (quick = false) => {
    const { backups } = await (await site.reopen()).verify({ ...ASKED, quick, reference: id });
    return backups[0]?.issues ?? [];
  };
  return { site, full, ancestor, id, verify };
}

describe("verify of an incremental", () => {
  it("passes where its ancestor is whole, and names what its ancestor lacks, quick or not", async () => {
    const { ancestor, full, verify } = await siteWithIncremental();
    expect(await verify()).toEqual([]);
    const pack = readdirSync(ancestor).find((name) => /^www\.tree\.zst/.test(name)) ?? "";
    rmSync(join(ancestor, pack));

    for (const quick of [true, false])
      expect((await verify(quick)).join("\n")).toMatch(`${pack} is missing (in its ancestor ${full.id})`);
  });

  it.each([
    ["is gone", (file: string) => rmSync(file), "/metadata.json is missing"],
    [
      "is gone with all else of it",
      (file: string) => rmSync(join(file, ".."), { recursive: true }),
      'is missing in storage "local", with all that was in it',
    ],
    ["is damaged", (file: string) => writeFileSync(file, "{"), "is damaged: it is not JSON"],
    [
      "was changed",
      (file: string) => writeFileSync(file, readFileSync(file, "utf8").replace("tester", "mallory")),
      "is not authentic",
    ],
  ])("names its ancestor's metadata that %s", async (_, spoil, message) => {
    const { ancestor, verify } = await siteWithIncremental();
    spoil(join(ancestor, "metadata.json"));

    expect((await verify(true)).join("\n")).toContain(message);
  });
});

it("verify names a backup of which nothing is left", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  rmSync(await site.backupDirectory(), { recursive: true });

  const { backups } = await site.operations.verify({ ...ASKED, reference: id });

  expect(backups[0]?.issues.join("\n")).toMatch(/full-\S+ is missing in storage "local", with all that was in it$/);
});

it("verify names metadata of another backup in a backup's place", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  const file = join(await site.backupDirectory(), "metadata.json");
  const other = id.replace(/.{4}$/, (end) => (end === "0000" ? "1111" : "0000"));
  writeFileSync(file, readFileSync(file, "utf8").replaceAll(id, other));

  const { backups } = await site.operations.verify({ ...ASKED, reference: id });

  expect(backups[0]?.issues.join("\n")).toContain(`holds backup ${other}, not ${id}`);
});

it.each([
  ["are gone", (file: string) => rmSync(file), "SHA256SUMS is missing"],
  ["were changed", (file: string) => writeFileSync(file, "\n"), "SHA256SUMS does not match the checksum"],
])("verify names sums that %s", async (_, spoil, message) => {
  const site = await openSite();
  const { id } = await createOne(site);
  spoil(join(await site.backupDirectory(), "SHA256SUMS"));

  const { backups } = await site.operations.verify({ ...ASKED, reference: id });

  expect(backups[0]?.issues.join("\n")).toContain(message);
});

it("verify names notes that can't be read", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  writeFileSync(join(await site.backupDirectory(), "notes-3-00000000.json"), "{");

  const { backups } = await site.operations.verify({ ...ASKED, reference: id });

  expect(backups[0]?.issues).toEqual([expect.stringMatching(/notes-3-00000000\.json .* is damaged: it is not JSON/)]);
});
