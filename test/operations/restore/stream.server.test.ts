import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { statePaths } from "../../../src/operations/session.ts";
import { acquireLock } from "../../../src/platform/lock.ts";
import { createOne, type OpenSite, openSite, WWW } from "../../helpers/open-site.ts";
import { damageData, NOTHING_ASKED, namesIn, restore, www } from "./tools.ts";

const DATABASE = `  app: {engine: sqlite, path: "{dir}/app.db"}`;
const COMMAND = `  settings: {engine: command, command: ["printf", "setting=1"]}`;

function fillDatabase(file: string, rows = 1_000): void {
  const database = new Sqlite(file);
  database.exec("create table if not exists orders (id integer primary key, note text)");
  const insert = database.prepare("insert into orders (note) values (?)");
  database.transaction(() => {
    for (let row = 0; row < rows; row++) insert.run(`order ${row}`);
  })();
  database.close();
}

function rowsIn(file: string): number {
  const database = new Sqlite(file, { readonly: true });
  try {
    return Number(database.prepare("select count(*) from orders").pluck().get());
  } finally {
    database.close();
  }
}

async function siteWith(sources: string): Promise<OpenSite> {
  const site = await openSite({ sources });
  fillDatabase(join(site.directory, "app.db"));
  return site;
}

describe("a database stream", () => {
  it("goes to a new file, checked by its engine", async () => {
    const site = await siteWith(DATABASE);
    await createOne(site);
    const to = join(site.directory, "copy.db");

    const result = await restore(site.operations, { latest: true, to });

    expect(rowsIn(to)).toBe(1_000);
    expect(result.sources[0]?.checks.map(({ name, passed }) => [name, passed])).toEqual([
      ["integrity", true],
      ["rows", true],
    ]);
  });

  it("loses what killed restores of it left, and nothing else", async () => {
    const site = await siteWith(DATABASE);
    await createOne(site);
    const out = join(site.directory, "out");
    mkdirSync(out);
    const left = [".app.db.restore-0123456789ab", ".app.db.restore-0123456789ab-journal"];
    const others = [".app.db.restore-mine", ".b.db.restore-0123456789ab"];
    for (const name of [...left, ...others]) writeFileSync(join(out, name), "left");

    await restore(site.operations, { latest: true, to: join(out, "app.db") });

    expect(readdirSync(out).sort()).toEqual([...others, "app.db"].sort());
  });

  it("is refused over an existing database, and replaces it with --overwrite", async () => {
    const site = await siteWith(DATABASE);
    await createOne(site);
    fillDatabase(join(site.directory, "app.db"), 5);

    const refused = restore(site.operations, { latest: true });

    await expect(refused).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      hint: expect.stringContaining("--overwrite"),
    });
    expect(rowsIn(join(site.directory, "app.db"))).toBe(1_005);
    await restore(site.operations, { latest: true, overwrite: true });
    expect(rowsIn(join(site.directory, "app.db"))).toBe(1_000);
  });

  it("that is damaged leaves the database as it is", async () => {
    const site = await siteWith(DATABASE);
    await createOne(site);
    fillDatabase(join(site.directory, "app.db"), 5);
    damageData(await site.backupDirectory(), "app");

    const refused = restore(site.operations, { latest: true, overwrite: true });

    await expect(refused).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
    expect(rowsIn(join(site.directory, "app.db"))).toBe(1_005);
  });

  it("goes to --to on a machine whose config does not know it, and nowhere without", async () => {
    const site = await siteWith(DATABASE);
    await createOne(site);
    const bare = await site.reopen({
      loaded: { ...site.session.loaded, config: { ...site.session.loaded.config, sources: [] } },
    });
    const to = join(site.directory, "copy.db");

    await restore(bare, { latest: true, to });

    expect(rowsIn(to)).toBe(1_000);
    await expect(restore(bare, { latest: true })).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining('the config does not have source "app"'),
      hint: expect.stringContaining("--to"),
    });
  });
});

describe("several sources at once", () => {
  it("go to a folder each, below --to", async () => {
    const site = await siteWith([WWW, DATABASE, COMMAND].join("\n"));
    await createOne(site);
    const to = join(site.directory, "out");

    const result = await restore(site.operations, { latest: true, to });

    expect(result.sources.map(({ name, status }) => [name, status])).toEqual([
      ["www", "completed"],
      ["app", "completed"],
      ["settings", "completed"],
    ]);
    expect(rowsIn(join(to, "app/app.db"))).toBe(1_000);
    expect(readFileSync(join(to, "settings/settings.out"), "utf8")).toBe("setting=1");
    expect(statSync(join(to, "settings/settings.out")).mode & 0o777).toBe(0o600);
    expect(namesIn(join(to, "www", www(site)))).toEqual(namesIn(www(site)));
  });

  it("leave nothing of a sound one where another is damaged, whichever comes first", async () => {
    const site = await siteWith([WWW, `  config: {engine: files, paths: ["{dir}/config"]}`, DATABASE].join("\n"));
    mkdirSync(join(site.directory, "config"));
    writeFileSync(join(site.directory, "config/site.conf"), "a");
    await createOne(site);
    const backup = await site.backupDirectory();

    for (const damaged of ["config", "www", "app"]) {
      damageData(backup, damaged);
      const refused = restore(site.operations, { latest: true, to: join(site.directory, "out/all") });
      await expect(refused).rejects.toMatchObject({
        code: "BACKUP_CORRUPTED",
        message: expect.stringContaining("is damaged"),
      });
      expect(namesIn(site.directory).filter((name) => /out/.test(name))).toEqual([]);
    }
  });

  it("are all refused together when one has nowhere to go", async () => {
    const site = await siteWith([WWW, COMMAND].join("\n"));
    await createOne(site);
    writeFileSync(join(www(site), "index.html"), "defaced");

    const refused = restore(site.operations, { latest: true, overwrite: true });

    await expect(refused).rejects.toMatchObject({ code: "USAGE", message: expect.stringContaining("restore_command") });
    expect(readFileSync(join(www(site), "index.html"), "utf8")).toBe("defaced");
  });

  it("are restored without the damaged one with --skip-damaged", async () => {
    const site = await siteWith([WWW, DATABASE].join("\n"));
    await createOne(site);
    damageData(await site.backupDirectory(), "app");
    const to = join(site.directory, "out");

    const result = await restore(site.operations, { latest: true, to, skipDamaged: true });

    expect(result.sources).toMatchObject([
      { name: "www", status: "completed" },
      { name: "app", status: "skipped", error: { code: "BACKUP_CORRUPTED" } },
    ]);
    expect(existsSync(join(to, "app"))).toBe(false);
  });

  it("go where they would go without the damage, wherever that lies", async () => {
    const site = await siteWith([WWW, DATABASE].join("\n"));
    await createOne(site);
    rmSync(join(await site.backupDirectory(), "app.sqlite.root.zst.enc.00000000"));
    const to = join(site.directory, "out");

    await restore(site.operations, { latest: true, to, skipDamaged: true });

    expect(readdirSync(to)).toEqual(["www"]);
  });
});

describe("a restore", () => {
  it("is recorded, and shows how far it is", async () => {
    const site = await siteWith(DATABASE);
    const { id } = await createOne(site);
    const phases = new Set<string>();

    const result = await restore(site.operations, {
      latest: true,
      to: join(site.directory, "copy.db"),
      onProgress: ({ phase }) => void phases.add(phase),
    });

    expect([...phases]).toEqual(["verify", "restore"]);
    const catalog = await site.context.catalog("read");
    expect(catalog.restoresOf(id)).toMatchObject({ count: 1 });
    expect(catalog.recentDurations({ operation: "restore" })).toEqual([
      { bytes: result.bytes, seconds: result.seconds },
    ]);
    const { progress } = await statePaths(site.session);
    expect(existsSync(progress)).toBe(false);
  });

  it("of a tree to a new place is checked while it is written", async () => {
    const site = await openSite();
    await createOne(site);
    const phases = new Set<string>();

    await restore(site.operations, {
      latest: true,
      to: join(site.directory, "out"),
      onProgress: ({ phase, phasesRemaining }) => void phases.add([phase, ...phasesRemaining].join(" ")),
    });

    expect([...phases]).toEqual(["restore"]);
  });

  it("waits for no other: who holds the lock is said", async () => {
    const site = await siteWith(DATABASE);
    await createOne(site);
    const { lock: file } = await statePaths(site.session);
    const lock = await acquireLock(file, { operation: "restore", backupId: "another" });

    const refused = restore(site.operations, { latest: true, to: join(site.directory, "copy.db") });

    await expect(refused).rejects.toMatchObject({ code: "RESTORE_IN_PROGRESS", exitCode: 11 });
    await lock.release();
  });

  it("that is interrupted leaves nothing of a tree in its new place", async () => {
    const controller = new AbortController();
    const site = await openSite({ signal: controller.signal });
    await createOne(site);
    const to = join(site.directory, "out");
    const reason = new Error("interrupted");

    const broken = restore(site.operations, {
      ...NOTHING_ASKED,
      latest: true,
      to,
      onProgress: ({ phase, filesDone }) => {
        if (phase === "restore" && filesDone === 0) controller.abort(reason);
      },
    });

    await expect(broken).rejects.toBe(reason);
    expect(namesIn(site.directory).filter((name) => name.startsWith("out") || name.startsWith(".out"))).toEqual([]);
  });
});
