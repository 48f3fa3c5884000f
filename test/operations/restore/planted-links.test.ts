import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, it } from "vitest";
import { createOne, openSite, WWW } from "../../helpers/open-site.ts";
import { NOTHING_ASKED, restore } from "./tools.ts";

/** Symlinks that lie where a restore chooses the name: nobody who gave `--to` saw where they lead. */

const SOURCES = `${WWW}
  one: {engine: sqlite, path: "{dir}/one.db"}
  list: {engine: command, command: "echo list"}`;

function makeDatabase(file: string, row: string): void {
  const database = new Sqlite(file);
  database.pragma("journal_mode = wal");
  database.exec(`CREATE TABLE t (x); INSERT INTO t VALUES ('${row}')`).close();
}

/** A backup of a tree, a database and an output; an empty folder to restore to, and one elsewhere that must stay as it is. */
async function siteWithBackup() {
  const site = await openSite({ sources: SOURCES });
  makeDatabase(join(site.directory, "one.db"), "backed up");
  await createOne(site);
  const [to, live] = [join(site.directory, "T"), join(site.directory, "live")];
  for (const folder of [to, live]) mkdirSync(folder);
  return { operations: site.operations, directory: site.directory, to, live };
}

function contentsOf(folder: string): Readonly<Record<string, string>> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "latin1")]));
}

it.each(["www", "one", "list"])(
  "the folder of one of several sources is not reached through a link: %s",
  async (name) => {
    const { operations, to, live } = await siteWithBackup();
    for (const file of ["theirs", "one.db", "list.out"]) writeFileSync(join(live, file), "live");
    const before = contentsOf(live);
    symlinkSync(live, join(to, name));

    const asked = { latest: true, to, overwrite: true, delete: true, sources: ["www", "one", "list"] };
    const plan = await operations.planRestore({ ...NOTHING_ASKED, ...asked });
    await expect(operations.restore({ ...NOTHING_ASKED, ...asked }, plan)).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      message: expect.stringContaining(`${join(to, name)}, is a symlink`),
      hint: expect.stringContaining(`--source ${name}`),
    });

    expect(plan.refusals).toHaveLength(1);
    expect(contentsOf(live)).toEqual(before);
    expect(readdirSync(to)).toEqual([name]);
  },
);

it("what --to names may be a link itself", async () => {
  const { operations, directory, live } = await siteWithBackup();
  symlinkSync(live, join(directory, "link"));

  await restore(operations, { latest: true, to: join(directory, "link") });

  expect(readdirSync(live).sort()).toEqual(["list", "one", "www"]);
});

it.each(["one", "list"])(
  "a link in place of a file is replaced, and what it points to never opened: %s",
  async (source) => {
    const { operations, to, live } = await siteWithBackup();
    const name = source === "one" ? "one.db" : "list.out";
    makeDatabase(join(live, "other.db"), "somebody else");
    const before = contentsOf(live);
    symlinkSync(join(live, "other.db"), join(to, name));

    const asked = { latest: true, sources: [source], to: `${to}/` };
    await expect(restore(operations, asked)).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    const plan = await operations.planRestore({ ...NOTHING_ASKED, ...asked, overwrite: true });
    expect(plan.sources[0]?.overwrites.join()).toContain("is a symlink and is replaced");
    await restore(operations, { ...asked, overwrite: true });

    expect(contentsOf(live)).toEqual(before);
    expect(readdirSync(to)).toEqual([name]);
    expect(() => readlinkSync(join(to, name))).toThrow("EINVAL");
    expect(readFileSync(join(to, name), "latin1")).toContain(source === "one" ? "backed up" : "list");
  },
);

it("a link to nothing is there as well", async () => {
  const { operations, to, live } = await siteWithBackup();
  symlinkSync(join(live, "nothing"), join(to, "one.db"));

  const asked = { latest: true, sources: ["one"], to: `${to}/` };
  await expect(restore(operations, asked)).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  await restore(operations, { ...asked, overwrite: true });

  expect(readdirSync(to)).toEqual(["one.db"]);
  expect(readdirSync(live)).toEqual([]);
});
