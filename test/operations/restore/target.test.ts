import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { canMount, mountOn } from "../../helpers/mounted-file.ts";
import { createOne, openSite, WWW, withFaults } from "../../helpers/open-site.ts";
import { NOTHING_ASKED, namesIn, restore, www } from "./tools.ts";

const TARGETS = `targets:
  staging:
    sources:
      www: {paths: ["{dir}/staging/site"]}`;

describe("a restore to a target of the config", () => {
  it("puts a tree under the target's paths, and leaves the source's own place alone", async () => {
    const site = await openSite({ sources: WWW, more: TARGETS });
    await createOne(site);
    writeFileSync(join(www(site), "index.html"), "newer");

    const result = await restore(site.operations, { latest: true, target: "staging" });

    const staging = join(site.directory, "staging/site");
    expect(result.sources).toMatchObject([{ place: staging, status: "completed" }]);
    expect(namesIn(staging)).toEqual(namesIn(www(site)));
    expect(readFileSync(join(staging, "index.html"), "utf8")).toBe("<h1>hello</h1>");
    expect(readFileSync(join(www(site), "index.html"), "utf8")).toBe("newer");
  });

  it("puts a stream where the target has it", async () => {
    const sources = `  app: {engine: sqlite, path: "{dir}/app.db"}`;
    const more = `targets: {staging: {sources: {app: {path: "{dir}/staging/app.db"}}}}`;
    const site = await openSite({ sources, more });
    new Sqlite(join(site.directory, "app.db")).exec("CREATE TABLE t (x)").close();
    await createOne(site);

    await restore(site.operations, { latest: true, target: "staging" });

    expect(namesIn(join(site.directory, "staging"))).toEqual(["app.db"]);
  });

  it("puts a path that lies below another one where the target has that one", async () => {
    const source = `  www: {engine: files, paths: ["{dir}/www", "{dir}/www/uploads"]}`;
    const more = `targets: {staging: {sources: {www: {paths: ["{dir}/staging/site", "{dir}/staging/media"]}}}}`;
    const site = await openSite({ sources: source, more });
    await createOne(site);

    await restore(site.operations, { latest: true, target: "staging" });

    expect(namesIn(join(site.directory, "staging"))).toEqual([
      "media",
      "media/large.bin",
      "media/small.txt",
      "site",
      "site/index.html",
    ]);
  });

  it.runIf(canMount)("that fails says which files are old and which are new", async () => {
    const site = await openSite({ sources: WWW, more: TARGETS });
    await createOne(site);
    const inTheWay = join(site.directory, "staging/site/index.html");
    mountOn(inTheWay, "mine");

    await expect(restore(site.operations, { latest: true, target: "staging", overwrite: true })).rejects.toMatchObject({
      hint: expect.stringContaining("Each file in"),
    });
    expect(readFileSync(inTheWay, "utf8")).toBe("mine");
  });

  it.runIf(canMount)("that fails for every source names each", async () => {
    const uploads = `  uploads: {engine: files, paths: ["{dir}/www/uploads"]}`;
    const more = `${TARGETS}\n      uploads: {paths: ["{dir}/staging/uploads"]}`;
    const site = await openSite({ sources: `${WWW}\n${uploads}`, more });
    await createOne(site);
    for (const name of ["site/index.html", "uploads/small.txt"]) mountOn(join(site.directory, "staging", name));

    await expect(restore(site.operations, { latest: true, target: "staging", overwrite: true })).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringMatching(/^no source was restored: www: .*; uploads: /),
    });
  });

  it("removes with --delete only below the target's paths", async () => {
    const site = await openSite({ sources: WWW, more: TARGETS });
    await createOne(site);
    mkdirSync(join(site.directory, "staging/site"), { recursive: true });
    for (const name of ["staging/site/extra", "staging/beside", "www/extra"])
      writeFileSync(join(site.directory, name), "");

    const request = { ...NOTHING_ASKED, latest: true, target: "staging", overwrite: true, delete: true };
    const plan = await site.operations.planRestore(request);
    await site.operations.restore(request, plan);

    expect(plan).toMatchObject({ inPlace: false, sources: [{ deletes: 1 }] });
    const names = namesIn(site.directory);
    expect(names).not.toContain("staging/site/extra");
    expect(names).toEqual(expect.arrayContaining(["staging/beside", "www/extra", "staging/site/index.html"]));
  });

  it.each([{}, { type: "files" }])(
    "takes the backup that its plan chose, though the plan was made elsewhere and another is newer: %j",
    async (asked) => {
      const site = await openSite({ sources: WWW, more: TARGETS });
      const { id } = await createOne(site);
      const request = { ...NOTHING_ASKED, latest: true, target: "staging", ...asked };
      const plan = await site.operations.planRestore(request);
      await createOne(site);

      expect(await (await site.reopen()).restore(request, { ...plan })).toMatchObject({ backupId: id });
    },
  );

  describe("that gives two sources one place", () => {
    const both = `  www: {engine: files, paths: ["{dir}/www"]}
  app: {engine: sqlite, path: "{dir}/app.db"}
  two: {engine: sqlite, path: "{dir}/two.db"}
  more: {engine: files, paths: ["{dir}/more"]}`;

    async function siteFor(places: Readonly<Record<string, string>>, sources = both) {
      const targets = Object.entries(places).map(([name, options]) => `      ${name}: {${options}}`);
      const site = await openSite({ sources, more: `targets:\n  staging:\n    sources:\n${targets.join("\n")}` });
      mkdirSync(join(site.directory, "more"));
      writeFileSync(join(site.directory, "more/one"), "1");
      for (const name of ["app", "two"])
        new Sqlite(join(site.directory, `${name}.db`)).exec("CREATE TABLE t (x)").close();
      await createOne(site);
      const asked = { latest: true, target: "staging", sources: Object.keys(places), overwrite: true };
      return { site, asked };
    }

    it.each([
      ["trees", { www: `paths: ["{dir}/staging"]`, more: `paths: ["{dir}/staging/below"]` }],
      ["a database in a tree", { www: `paths: ["{dir}/staging"]`, app: `path: "{dir}/staging/app.db"` }],
    ])("is refused with --delete, which would remove the other: %s", async (_, places) => {
      const { site, asked } = await siteFor(places);
      await restore(site.operations, asked);
      const before = namesIn(join(site.directory, "staging"));

      await expect(restore(site.operations, { ...asked, delete: true })).rejects.toMatchObject({
        code: "USAGE",
        message: expect.stringContaining("removes what the other brings"),
        hint: expect.stringContaining("apart"),
      });

      expect(namesIn(join(site.directory, "staging"))).toEqual(before);
    });

    it("is refused for two databases, of which one file would be left", async () => {
      const { site, asked } = await siteFor({ app: `path: "{dir}/one.db"`, two: `path: "{dir}/one.db"` });

      await expect(restore(site.operations, asked)).rejects.toMatchObject({
        code: "USAGE",
        message: `the target gives the sources "app" and "two" one place, SQLite database ${site.directory}/one.db`,
      });
    });

    it("goes on with --delete where the one excludes the other's place", async () => {
      const sources = both.replace(`["{dir}/www"]`, `["{dir}/www"], exclude: [/below/, "*.db"]`);
      const places = {
        www: `paths: ["{dir}/staging"]`,
        more: `paths: ["{dir}/staging/below"]`,
        app: `path: "{dir}/staging/app.db"`,
      };
      const { site, asked } = await siteFor(places, sources);
      await restore(site.operations, asked);
      writeFileSync(join(site.directory, "staging/extra"), "");

      await restore(site.operations, { ...asked, delete: true });

      expect(namesIn(join(site.directory, "staging"))).toEqual(
        expect.arrayContaining(["app.db", "below/one", "index.html"]),
      );
      expect(namesIn(join(site.directory, "staging"))).not.toContain("extra");
    });
  });

  it("is refused for a target that nobody configured", async () => {
    const site = await openSite({ sources: WWW, more: TARGETS });
    await createOne(site);

    const refused = restore(site.operations, { latest: true, target: "production" });

    await expect(refused).rejects.toMatchObject({ code: "TARGET_NOT_FOUND" });
  });
});

it.each([{ delete: false }, { delete: true }])(
  "takes away what a killed restore to the same place left there and beside it, over what came to its place (%o)",
  async (asked) => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "target/to");
    await restore(site.operations, { latest: true, to });
    const whole = namesIn(join(to, ".."));
    for (const folder of [to, join(to, "..")]) {
      mkdirSync(join(folder, ".to.backupctl-01234567"));
      writeFileSync(join(folder, ".to.backupctl-01234567/secret"), "half of it");
    }

    await restore(site.operations, { latest: true, to, overwrite: true, ...asked });

    expect(namesIn(join(to, ".."))).toEqual(whole);
  },
);

it("takes back what it made for the other sources where one can't be taken back", async () => {
  const sources = ["a", "b", "c"].map((name) => `  ${name}: {engine: files, paths: ["{dir}/${name}"]}`).join("\n");
  const site = await openSite({ sources });
  for (const name of ["a", "b", "c"]) {
    mkdirSync(join(site.directory, name));
    writeFileSync(join(site.directory, name, "file"), name);
  }
  await createOne(site);
  const to = join(site.directory, "to");
  const operations = await withFaults(site, (storage) =>
    storage.onKey("get", /\/c\.tree\.zst/).meanwhile(() => {
      const stage = join(to, readdirSync(to).find((name) => name.startsWith(".b.backupctl-")) ?? "");
      rmSync(stage, { recursive: true });
      writeFileSync(stage, "no folder any more");
      throw new BackupctlError("BACKUP_CORRUPTED", "the disk is scratched");
    }),
  );

  await expect(restore(operations, { latest: true, to })).rejects.toThrow("the disk is scratched");

  expect(namesIn(to)).toEqual([expect.stringMatching(/^\.b\.backupctl-/)]);
  expect(site.warnings.join("\n")).toContain('what was made for source "b" beside');
});
