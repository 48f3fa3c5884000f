import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { damageData, difference, fillEveryKind, haveTreeTools, NOTHING_ASKED, namesIn, restore, www } from "./tools.ts";

describe("a tree restored elsewhere", () => {
  test.runIf(haveTreeTools)("is the same by rsync, from a full and from an incremental backup", async () => {
    const site = await openSite();
    fillEveryKind(www(site));
    const full = await createOne(site);
    const before = join(site.directory, "before");
    const firstResult = await restore(site.operations, { reference: full.id, to: before });
    expect(difference(www(site), join(before, www(site)))).toBe("");
    appendFileSync(join(www(site), "d/deeper/file-9"), "grown");
    renameSync(join(www(site), "d/deeper/file-10"), join(www(site), "renamed"));
    rmSync(join(www(site), "empty"), { recursive: true });
    symlinkSync("d", join(www(site), "empty"));
    await createOne(site, { mode: "incremental" });

    const result = await restore(site.operations, { latest: true, to: join(site.directory, "after") });

    expect(difference(www(site), join(site.directory, "after", www(site)))).toBe("");
    for (const { sources } of [firstResult, result]) {
      expect(sources).toMatchObject([{ name: "www", status: "completed", error: undefined }]);
      expect(sources[0]?.checks.map(({ name, passed }) => [name, passed])).toEqual([
        ["entries", true],
        ["metadata", true],
      ]);
    }
    expect(result.warnings).toEqual([]);
    expect(statSync(join(before, www(site), "sparse")).blocks).toBeLessThan(2_000);
  });

  it("appears at once and leaves no staging folder", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "deep/er/out");

    await restore(site.operations, { latest: true, to });

    expect(namesIn(join(site.directory, "deep")).filter((name) => name.includes(".backupctl-"))).toEqual([]);
    expect(readFileSync(join(to, www(site), "index.html"), "utf8")).toBe("<h1>hello</h1>");
    expect(namesIn(join(site.directory, "state")).filter((name) => name.includes("reading/"))).toEqual([]);
  });

  it("keeps an empty folder that is there, with its mode", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");
    mkdirSync(to, { mode: 0o750 });
    const { ino } = statSync(to);

    await restore(site.operations, { latest: true, to });

    expect(statSync(to)).toMatchObject({ ino, mode: 0o40750 });
    expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
  });

  it("brings back only what is included, with the folders that it lies in", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");

    await restore(site.operations, { latest: true, to, include: ["uploads/*.txt"] });

    expect(namesIn(join(to, www(site)))).toEqual(["uploads", "uploads/small.txt"]);
  });

  it("leaves out what is excluded, by path or by pattern", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");

    await restore(site.operations, { latest: true, to, exclude: [join(www(site), "uploads"), "*.nothing"] });

    expect(namesIn(join(to, www(site)))).toEqual(["index.html"]);
  });

  it("is refused when nothing is left of it", async () => {
    const site = await openSite();
    await createOne(site);

    const refused = restore(site.operations, {
      latest: true,
      to: join(site.directory, "out"),
      include: ["nothing.like.it"],
    });

    await expect(refused).rejects.toMatchObject({ code: "USAGE", message: expect.stringContaining("nothing.like.it") });
  });
});

describe("a target that is not empty", () => {
  it("is refused with what is there, and stays as it is", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");
    mkdirSync(to);
    writeFileSync(join(to, "precious"), "mine");

    const plan = await site.operations.planRestore({ ...NOTHING_ASKED, latest: true, to });
    const refused = restore(site.operations, { latest: true, to });

    expect(plan).toMatchObject({
      refusals: [{ code: "TARGET_NOT_EMPTY", message: expect.stringContaining("precious") }],
    });
    await expect(refused).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      hint: expect.stringContaining("--overwrite"),
    });
    expect(namesIn(to)).toEqual(["precious"]);
  });

  it.each(["file", "file/below"])("is refused as no folder, with --overwrite too: %s", async (name) => {
    const site = await openSite();
    await createOne(site);
    writeFileSync(join(site.directory, "file"), "mine");
    const to = join(site.directory, name);

    await expect(restore(site.operations, { latest: true, to, overwrite: true })).rejects.toMatchObject({
      code: name === "file" ? "TARGET_NOT_EMPTY" : "RESTORE_FAILED",
      message: expect.stringContaining(to),
      hint: expect.stringContaining("--to"),
    });
    expect(readFileSync(join(site.directory, "file"), "utf8")).toBe("mine");
  });

  it("gets the backup's files with --overwrite and keeps others", async () => {
    const site = await openSite();
    await createOne(site);
    writeFileSync(join(www(site), "index.html"), "defaced");
    writeFileSync(join(www(site), "later.txt"), "new since");

    const result = await restore(site.operations, { latest: true, overwrite: true });

    expect(result.sources).toMatchObject([{ status: "completed" }]);
    expect(readFileSync(join(www(site), "index.html"), "utf8")).toBe("<h1>hello</h1>");
    expect(readFileSync(join(www(site), "later.txt"), "utf8")).toBe("new since");
  });

  it("loses what a killed restore left in its folders", async () => {
    const site = await openSite();
    await createOne(site);
    for (const folder of ["", "uploads"])
      writeFileSync(join(www(site), folder, ".backupctl-0123456789abcdef"), "half a file");

    await restore(site.operations, { latest: true, overwrite: true });

    expect(namesIn(www(site))).toEqual(["index.html", "uploads", "uploads/large.bin", "uploads/small.txt"]);
  });

  it("loses with --delete what the backup does not have, but for what the source excludes", async () => {
    const site = await openSite({ sources: `  www: {engine: files, paths: ["{dir}/www"], exclude: ["*.tmp"]}` });
    await createOne(site);
    mkdirSync(join(www(site), "extra/deep"), { recursive: true });
    for (const name of ["extra/deep/a", "extra/b", "kept.tmp"]) writeFileSync(join(www(site), name), name);
    writeFileSync(join(site.directory, "beside"), "not ours");
    const request = { ...NOTHING_ASKED, latest: true, overwrite: true, delete: true };

    const plan = await site.operations.planRestore(request);
    await site.operations.restore(request, plan);

    expect(plan.sources).toMatchObject([{ deletes: 4 }]);
    expect(namesIn(www(site))).toEqual(["index.html", "kept.tmp", "uploads", "uploads/large.bin", "uploads/small.txt"]);
    expect(existsSync(join(site.directory, "beside"))).toBe(true);
  });

  it("refuses --delete where the config does not know what the source covers", async () => {
    const site = await openSite();
    await createOne(site);
    const bare = await site.reopen({
      loaded: { ...site.session.loaded, config: { ...site.session.loaded.config, sources: [] } },
    });

    const refused = restore(bare, { latest: true, overwrite: true, delete: true });

    await expect(refused).rejects.toMatchObject({ code: "USAGE", message: expect.stringContaining("--delete") });
  });

  it("is never written to through a symlink that it holds", async () => {
    const site = await openSite();
    await createOne(site);
    const outside = join(site.directory, "outside");
    mkdirSync(outside);
    rmSync(join(www(site), "uploads"), { recursive: true });
    symlinkSync(outside, join(www(site), "uploads"));

    await restore(site.operations, { latest: true, overwrite: true });

    expect(namesIn(outside)).toEqual([]);
    expect(namesIn(www(site))).toContain("uploads/small.txt");
  });

  it("that came to be after the plan is not touched", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");
    const request = { ...NOTHING_ASKED, latest: true, overwrite: true, to };
    const plan = await site.operations.planRestore(request);
    mkdirSync(to);
    writeFileSync(join(to, "new"), "");

    const refused = site.operations.restore(request, plan);

    await expect(refused).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("changed since the plan"),
    });
    expect(namesIn(to)).toEqual(["new"]);
  });
});

it("a backup that was deleted after the plan is said to be gone", async () => {
  const site = await openSite();
  await createOne(site);
  const to = join(site.directory, "out");
  const request = { ...NOTHING_ASKED, latest: true, to };
  const plan = await site.operations.planRestore(request);
  rmSync(await site.backupDirectory(), { recursive: true });

  const refused = site.operations.restore(request, plan);

  await expect(refused).rejects.toMatchObject({
    code: "BACKUP_CORRUPTED",
    message: expect.stringMatching(/ is missing in storage "local", with all that was in it$/),
    hint: expect.stringMatching(/If it was deleted on purpose, run `backupctl catalog rebuild`/),
  });
  expect(namesIn(site.directory)).not.toContain("out");
});

describe("damage", () => {
  it("is found before anything is written", async () => {
    const site = await openSite();
    await createOne(site);
    damageData(await site.backupDirectory(), "www");
    writeFileSync(join(www(site), "index.html"), "still here");

    const refused = restore(site.operations, { latest: true, overwrite: true, delete: true });

    await expect(refused).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringMatching(/source "www".*www\.tree\.zst\.enc\.00000000/),
      hint: expect.stringContaining("--skip-damaged"),
    });
    expect(readFileSync(join(www(site), "index.html"), "utf8")).toBe("still here");
  });

  it("is left out with --skip-damaged, and named", async () => {
    const site = await openSite({ more: "compression: {algorithm: none}" });
    await createOne(site);
    damageData(await site.backupDirectory(), "www");
    const to = join(site.directory, "out");

    const result = await restore(site.operations, { latest: true, to, skipDamaged: true });

    expect(result.sources[0]?.checks).toContainEqual({
      name: "damaged entries",
      passed: false,
      detail: expect.stringContaining("large.bin"),
    });
    expect(result.warnings).toContainEqual(
      expect.stringMatching(/^left out of source "www": (1 damaged entry|[2-9] damaged entries)$/),
    );
    const names = namesIn(join(to, www(site)));
    expect(names).not.toContain("uploads/large.bin");
    expect(names).toContain("index.html");
    // What came back, and not what was to come.
    expect(result.bytes).toBe("<h1>hello</h1>".length + (names.includes("uploads/small.txt") ? "small".length : 0));
  });
});
