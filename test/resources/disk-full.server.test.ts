import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { noise } from "../helpers/bytes.ts";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { createOne, openSite } from "../helpers/open-site.ts";
import { restore } from "../operations/restore/tools.ts";
import { startPostgres } from "../servers/postgres.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const SOURCES = `  www: {engine: files, paths: ["{dir}/www"]}
  export: {engine: command, command: [cat, "{dir}/www/large"]}`;
const listed = z.object({ backups: z.array(z.object({ status: z.string() })) });

/** A disk of its own at this place until the test ends. */
function smallDisk(place: string, sizeKib: number): void {
  fs.mkdirSync(place, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeKib}k`, "tmpfs", place]);
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", place]);
  });
}

function filesBelow(folder: string): readonly string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

describe.runIf(requireOrSkip("root"))("a disk that is full", () => {
  let site: CliSite;
  let repository: string;
  beforeEach(async () => {
    site = await makeCliSite(SOURCES);
    repository = join(site.directory, "repository");
    const www = join(site.directory, "www");
    fs.mkdirSync(www);
    fs.writeFileSync(join(www, "large"), noise(8 * 1024 * 1024));
    for (let i = 0; i < 2000; i++) fs.writeFileSync(join(www, `${i}`), `${i}`);
  });

  it("under the storage ends a backup, of which nothing is left, and the one before is still there", async () => {
    smallDisk(repository, 26 * 1024);
    expect((await site.run("init")).exitCode).toBe(0);
    expect((await site.run("create")).exitCode).toBe(0);
    const before = filesBelow(repository);
    fs.writeFileSync(join(site.directory, "www/large"), noise(12 * 1024 * 1024));

    const result = await site.run("create");

    expect(result).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("error: INSUFFICIENT_STORAGE: ") });
    expect(filesBelow(repository)).toEqual(before);
    expect((await site.json(listed, ["list"])).backups.map(({ status }) => status)).toEqual(["failed", "completed"]);
    expect((await site.run("verify", "latest")).exitCode).toBe(0);
  });

  it.each([40, 150, 400, 700])(
    "with %i KiB under the state directory ends a backup, of which nothing is left",
    async (size) => {
      smallDisk(join(site.directory, "state"), size);

      const { exitCode, stderr } = await site.run("create");

      expect(exitCode).toBe(1);
      expect(stderr).toMatch(/error: (INSUFFICIENT_STORAGE|CATALOG_FAILED): /);
      expect(filesBelow(repository).filter((name) => /\.\d{8}$|metadata/.test(name))).toEqual([]);
    },
  );

  it("under the state directory before the lock is taken is said to be that", async () => {
    const state = join(site.directory, "state");
    smallDisk(state, 40);
    fs.writeFileSync(join(state, "others"), noise(40 * 1024));

    for (const command of [["create"], ["cleanup"]]) {
      expect(await site.run(...command)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringMatching(/error: INSUFFICIENT_STORAGE: .*\/lock.*\n.*BACKUPCTL_STATE_DIR/),
      });
    }
  });

  it("or read-only under the state directory ends a backup with words that end the problem", async () => {
    const state = join(site.directory, "state");
    smallDisk(state, 4_000);
    const readOnly = (): void => void execFileSync("mount", ["-o", "remount,ro", state]);
    const refused = (what: RegExp) => ({
      exitCode: 1,
      stderr: expect.stringMatching(
        new RegExp(`error: CATALOG_FAILED: ${what.source}.*EROFS.*\\n.*state_dir.*BACKUPCTL_STATE_DIR`),
      ),
    });

    readOnly();
    expect(await site.run("create")).toMatchObject(refused(/state directory .* can't be written/));
    execFileSync("mount", ["-o", "remount,rw", state]);
    expect(await site.run("create")).toMatchObject({ exitCode: 0 });
    readOnly();
    expect(await site.run("create")).toMatchObject(refused(/cannot lock .*\/lock/));
  });

  it.each([
    [60, 0],
    [700, 0],
    [700, 500],
  ])("of %i KiB under the state directory, of which %i are free, keeps nobody from a restore", async (size, free) => {
    await site.run("create");
    const state = join(site.directory, "state");
    smallDisk(state, size);
    fs.writeFileSync(join(state, "others"), noise((size - free) * 1024));
    const to = join(site.directory, "to");

    const list = await site.json(listed, ["list"]);
    const restored = await site.run("restore", "latest", "--source", "www", "--to", to);
    const downloaded = await site.run("download", "latest", "--to", join(site.directory, "files"));
    const verified = await site.run("verify", "latest");

    expect(list.backups).toMatchObject([{ status: "completed" }]);
    for (const { exitCode, stderr } of [restored, downloaded, verified]) expect(exitCode, stderr).toBe(0);
    if (free === 0) expect(restored.stderr).toContain("the storages are read instead");
    expect(filesBelow(to)).toHaveLength(2001);
  });

  it("under the state directory has the indexes read elsewhere, and nothing of them stays", async () => {
    const site = await openSite();
    const { session, directory } = site;
    await createOne(site);
    await site.operations.close();
    const state = session.loaded.config.stateDir;
    smallDisk(state, 700);
    const to = join(directory, "out");

    await restore(await site.reopen({ loaded: { ...session.loaded, strict: false } }), { reference: "latest", to });

    expect(filesBelow(to)).not.toEqual([]);
    expect(filesBelow(state)).toEqual(expect.not.arrayContaining([expect.stringContaining("index")]));
  });

  it("under the state directory keeps a catalog from being made, and lets a deletion say that it records nothing", async () => {
    await site.run("create");
    const before = filesBelow(repository);
    smallDisk(join(site.directory, "state"), 40);

    const rebuilt = await site.run("catalog", "rebuild");
    const left = filesBelow(repository);
    const deleted = await site.run("delete", "latest", "--force", "--reason", "test", "--yes");

    expect(rebuilt.exitCode, rebuilt.stderr).toBe(1);
    expect(rebuilt.stderr).toMatch(/error: (INSUFFICIENT_STORAGE|CATALOG_FAILED): /);
    expect(left).toEqual(before);
    expect(deleted).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("nothing is recorded") });
    expect(filesBelow(repository).filter((name) => /\.\d{8}$|metadata/.test(name))).toEqual([]);
  });

  it("under the storage leaves a verification without its note, and a deletion makes room", async () => {
    smallDisk(repository, 26 * 1024);
    await site.run("init");
    await site.run("create");
    fs.writeFileSync(join(repository, "others"), "x");
    try {
      for (;;) fs.appendFileSync(join(repository, "others"), noise(65_536));
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
    }

    const verified = await site.run("verify", "latest");
    const deleted = await site.run("delete", "latest", "--force", "--reason", "test", "--yes");

    expect([0, 1], verified.stderr).toContain(verified.exitCode);
    expect(verified.stdout).toContain("passed");
    expect([0, 1], deleted.stderr).toContain(deleted.exitCode);
    if (deleted.exitCode === 1) expect(deleted.stderr).toContain("error: INSUFFICIENT_STORAGE: ");
    expect(filesBelow(repository).some((name) => /\.\d{8}$/.test(name))).toBe(deleted.exitCode === 1);
  });

  it.each(["www", "export"])("under the target ends the restore of %s, and nothing is left there", async (source) => {
    await site.run("create");
    const disk = join(site.directory, "small");
    smallDisk(disk, 4096);

    const result = await site.run("restore", "latest", "--source", source, "--to", join(disk, "to"));

    expect(result).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("error: INSUFFICIENT_STORAGE: ") });
    expect(filesBelow(disk)).toEqual([]);
  });

  it("under a download ends it, and nothing is left there", async () => {
    await site.run("create");
    const disk = join(site.directory, "small");
    smallDisk(disk, 4096);

    const result = await site.run("download", "latest", "--to", join(disk, "to"));

    expect(result).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("error: INSUFFICIENT_STORAGE: ") });
    expect(filesBelow(disk)).toEqual([]);
  });
});

const insufficient = { exitCode: 1, stderr: expect.stringContaining("error: INSUFFICIENT_STORAGE: ") };

describe.runIf(requireOrSkip("root", "sqlite3"))("a disk that is full under what a restore in place replaces", () => {
  let site: CliSite;
  let disk: string;
  beforeEach(async () => {
    site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/disk/www"]}
  app: {engine: sqlite, path: "{dir}/disk/app.db"}`);
    disk = join(site.directory, "disk");
    smallDisk(disk, 20 * 1024);
    fs.mkdirSync(join(disk, "www"));
  });

  it("leaves each file as it is or as it was, and says so", async () => {
    const www = join(disk, "www");
    const contents = (): readonly string[] => ["a", "b"].map((name) => fs.readFileSync(join(www, name), "latin1"));
    // Without the others there is room for all of them twice: both are written at once.
    const write = (seed: number): void => {
      for (const [n, name] of ["a", "b"].entries()) fs.writeFileSync(join(www, name), noise(4_400_000, seed + n));
    };
    write(1);
    const was = contents();
    expect((await site.run("create", "--source", "www")).exitCode).toBe(0);
    write(3);
    const is = contents();
    fs.writeFileSync(join(disk, "others"), noise(8_500_000));

    const result = await site.run("restore", "latest", "--source", "www", "--overwrite", "--yes");

    expect(result).toMatchObject(insufficient);
    expect(result.stderr).toContain("is the old one or the new one, whole");
    for (const [n, content] of contents().entries()) expect([is[n], was[n]]).toContain(content);
    expect(fs.readdirSync(disk).sort()).toEqual(["others", "www"]);
    expect(fs.readdirSync(www).sort()).toEqual(["a", "b"]);
    fs.rmSync(join(disk, "others"));
    expect((await site.run("restore", "latest", "--source", "www", "--overwrite", "--yes")).exitCode).toBe(0);
    expect(contents()).toEqual(was);
  });

  it("leaves the SQLite database that is there", async () => {
    const file = join(disk, "app.db");
    const sqlite = (sql: string) => execFileSync("sqlite3", [file, sql], { encoding: "utf8" });
    sqlite("CREATE TABLE t (b); INSERT INTO t VALUES (randomblob(9000000))");
    expect((await site.run("create", "--source", "app")).exitCode).toBe(0);
    sqlite("INSERT INTO t VALUES ('later')");
    fs.writeFileSync(join(disk, "others"), noise(4_000_000));

    const result = await site.run("restore", "latest", "--source", "app", "--overwrite", "--yes");

    expect(result).toMatchObject(insufficient);
    expect(result.stderr).toContain(file);
    expect(sqlite("SELECT count(*) FROM t; PRAGMA integrity_check")).toBe("2\nok\n");
    expect(fs.readdirSync(disk).sort()).toEqual(["app.db", "others", "www"]);
  });
});

describe.runIf(requireOrSkip("root", "postgres"))("a PostgreSQL server whose disk is full", () => {
  it("keeps the database that it has, and nothing of the one that was to be restored", async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const site = await makeCliSite(
      `  shop: {engine: postgres, host: ${server.host}, port: ${server.port}, user: ${server.user}, database: shop}`,
    );
    await server.createDatabase("shop");
    await server.sql("shop", "create table t as select i, repeat('x', 1000) from generate_series(1, 10000) i");
    expect((await site.run("create")).exitCode).toBe(0);
    await server.sql("shop", "insert into t values (0, 'later')");
    // What is made from template0 comes to lie where template0 does.
    const place = join(server.socketDir, "small");
    smallDisk(place, 20 * 1024);
    const { uid, gid } = fs.statSync(server.socketDir);
    fs.chownSync(place, uid, gid);
    await server.sql("postgres", `create tablespace small location '${place}'`);
    await server.sql("postgres", "alter database template0 set tablespace small");

    const result = await site.run("restore", "latest", "--drop-existing", "--yes");

    expect(result).toMatchObject(insufficient);
    expect(result.stderr).toContain("hint: Free some space on the server's disk");
    expect(await server.sql("shop", "select count(*) from t")).toBe("10001");
    const databases = await server.sql(
      "postgres",
      "select datname from pg_database where not datistemplate order by 1",
    );
    expect(databases).toBe("postgres\nshop");
  });
});
