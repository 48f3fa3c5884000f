import { execFileSync, fork } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, it, onTestFinished } from "vitest";
import { openEngine } from "../../../src/engines/sqlite/engine.ts";
import { options } from "../../../src/engines/sqlite/options.ts";
import { makeSlowDatabase } from "../../helpers/slow-database.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { collectDump, engineContext, engineSuite, restoreDump } from "../../suites/engine-suite.ts";

const engineWith = (file: string, more: Record<string, unknown> = {}) =>
  openEngine(options.parse({ path: file, ...more }));

/** Everything of a database that matters, read by another connection. */
function contentOf(file: string): unknown {
  const database = new Database(file, { fileMustExist: true });
  try {
    const schema = database
      .prepare<[], { type: string; name: string; sql: string | null }>(
        "select type, name, sql from sqlite_schema order by name",
      )
      .all();
    const tables = schema.filter((one) => one.type === "table");
    return {
      schema,
      rows: tables.map(({ name }) => database.prepare(`select * from "${name.replaceAll('"', '""')}"`).all()),
      version: database.pragma("user_version"),
    };
  } finally {
    database.close();
  }
}

function makeShop(file: string, journalMode = "delete"): Database.Database {
  const database = new Database(file);
  database.pragma(`journal_mode = ${journalMode}`);
  database.exec(`
    create table customers (id integer primary key, name text);
    create table "odd ""name" (x blob);
    create index by_name on customers (name);
    create view names as select name from customers;
    create trigger keep after delete on customers begin select 1; end;
    create virtual table search using fts5(body);
    insert into search values ('hello'), ('world');
    pragma user_version = 7;
  `);
  const insert = database.prepare("insert into customers (name) values (?)");
  database.transaction(() => {
    for (let i = 0; i < 500; i++) insert.run(`customer ${i}`);
    database.prepare(`insert into "odd ""name" values (randomblob(200000))`).run();
  })();
  return database;
}

engineSuite("sqlite", async (directory) => {
  const source = join(directory, "shop.db");
  const target = join(directory, "restored.db");
  makeShop(source).close();
  const textFile = join(directory, "notes.txt");
  writeFileSync(textFile, "no database ".repeat(100));
  const empty = join(directory, "empty.db");
  writeFileSync(empty, "");
  const damaged = join(directory, "damaged.db");
  copyFileSync(source, damaged);
  truncateSync(damaged, 3 * 4096);
  const locked = join(directory, "locked.db");
  const holder = makeShop(locked);
  holder.exec("begin exclusive");
  return {
    engine: engineWith(source),
    kind: "sqlite",
    elsewhere: { to: target },
    sourceContent: async () => contentOf(source),
    restoredContent: async () => contentOf(target),
    failing: [
      { name: "a missing file", engine: engineWith(join(directory, "missing.db")) },
      { name: "a folder", engine: engineWith(directory) },
      { name: "an empty file", engine: engineWith(empty) },
      { name: "a text file", engine: engineWith(textFile) },
      { name: "a damaged database", engine: engineWith(damaged) },
    ],
    endless: { engine: engineWith(locked, { busy_timeout: "10m" }) },
    close: async () => void holder.close(),
  };
});

describe("a dump of sqlite", () => {
  it.each(["wal", "delete"])("is one consistent state while another process writes (%s)", async (journalMode) => {
    const directory = tempDir();
    const file = join(directory, "bank.db");
    makeBank(file);
    const writer = fork(join(import.meta.dirname, "writer.mjs"), [file, journalMode]);
    onTestFinished(() => void writer.kill("SIGKILL"));
    await new Promise((resolve) => writer.once("message", resolve));

    for (let round = 0; round < 3; round++) {
      const { bytes, summary } = await collectDump(engineWith(file), await engineContext(directory));
      const copy = join(directory, `copy-${round}.db`);
      writeFileSync(copy, bytes);
      expect(bankProof(copy)).toEqual({ total: 20_000, ledger: true, integrity: "ok", rows: countOf(summary.counts) });
    }
  });

  it("includes what is only in the write-ahead log yet", async () => {
    const directory = tempDir();
    const file = join(directory, "shop.db");
    const writer = makeShop(file, "wal");
    onTestFinished(() => void writer.close());
    writer.pragma("wal_autocheckpoint = 0");
    writer.prepare("insert into customers (name) values ('only in the log')").run();
    expect(statSync(`${file}-wal`).size).toBeGreaterThan(0);

    const { bytes, summary } = await collectDump(engineWith(file), await engineContext(directory));
    writeFileSync(join(directory, "copy.db"), bytes);

    const copy = new Database(join(directory, "copy.db"));
    expect(copy.prepare("select count(*) as rows from customers where name = 'only in the log'").get()).toEqual({
      rows: 1,
    });
    copy.close();
    expect(summary.counts.rows).toBeGreaterThan(500);
  });

  it("gives the same bytes of an unchanged database", async () => {
    const directory = tempDir();
    const file = join(directory, "shop.db");
    makeShop(file, "wal").close();

    const first = await collectDump(engineWith(file), await engineContext(directory));
    const second = await collectDump(engineWith(file), await engineContext(directory));

    expect(first.bytes.equals(second.bytes)).toBe(true);
  });

  it("changes nothing in the source's folder and leaves no temporary file", async () => {
    const directory = tempDir();
    const file = join(directory, "shop.db");
    makeShop(file, "wal").close();
    const before = readFileSync(file);
    const context = await engineContext(directory);

    await collectDump(engineWith(file), context);

    expect(readdirSync(directory).toSorted()).toEqual(["shop.db", "temporary"]);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readdirSync(context.temporaryDirectory)).toEqual([]);
  });

  it("makes no database where none is", async () => {
    const directory = tempDir();

    await expect(
      collectDump(engineWith(join(directory, "typo.db")), await engineContext(directory)),
    ).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringContaining("typo.db does not exist"),
    });
    expect(existsSync(join(directory, "typo.db"))).toBe(false);
  });

  it("waits for nobody to write into a pipe", async () => {
    const directory = tempDir();
    execFileSync("mkfifo", [join(directory, "pipe.db")]);

    await expect(
      collectDump(engineWith(join(directory, "pipe.db")), await engineContext(directory)),
    ).rejects.toMatchObject({ code: "SOURCE_FAILED", message: expect.stringContaining("pipe.db is not a file") });
  });

  it("lists every kind of object with the rows of each table", async () => {
    const directory = tempDir();
    const file = join(directory, "shop.db");
    makeShop(file).close();

    const { summary, bytes } = await collectDump(engineWith(file), await engineContext(directory));

    expect(summary.inventory).toMatchObject({
      tables: expect.arrayContaining([
        { name: "customers", rows: 500 },
        { name: 'odd "name', rows: 1 },
        { name: "search", rows: 2 },
      ]),
      indexes: ["by_name"],
      views: ["names"],
      triggers: ["keep"],
      user_version: 7,
      size: bytes.length,
    });
    expect(summary.entries).toMatchObject([{ name: "shop.db", type: "database", offset: 0, size: bytes.length }]);
    expect(summary.versions).toMatchObject({ sqlite: expect.stringMatching(/^3\./), method: "online backup" });
  });

  it("gives up on a database that stays locked, naming it", async () => {
    const directory = tempDir();
    const file = join(directory, "shop.db");
    const holder = makeShop(file);
    onTestFinished(() => void holder.close());
    holder.exec("begin exclusive");

    await expect(
      collectDump(engineWith(file, { busy_timeout: "0s" }), await engineContext(directory)),
    ).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringMatching(/suite-source.*shop\.db stayed locked/),
    });
  });

  it("removes the private copy when the reader stops early", async () => {
    const directory = tempDir();
    const file = join(directory, "shop.db");
    makeShop(file).close();
    const context = await engineContext(directory);

    const dump = await engineWith(file).dump(context);
    if (dump.shape !== "stream") throw new Error("no stream");
    for await (const _ of dump.bytes) break;

    expect(readdirSync(context.temporaryDirectory)).toEqual([]);
  });
});

describe("a restore of sqlite", () => {
  async function dumped(directory: string) {
    const file = join(directory, "shop.db");
    makeShop(file, "wal").close();
    return {
      file,
      engine: engineWith(file),
      dump: await collectDump(engineWith(file), await engineContext(directory)),
    };
  }

  it("replaces the database in its own place, keeps its mode, and lets no old log into it", async () => {
    const directory = tempDir();
    const { file, engine, dump } = await dumped(directory);
    const before = contentOf(file);
    const changed = new Database(file);
    changed.pragma("wal_autocheckpoint = 0");
    changed.exec("delete from customers; create table intruder (x); insert into intruder values (1)");
    // A crash leaves the log behind.
    copyFileSync(`${file}-wal`, `${file}-wal.kept`);
    copyFileSync(file, `${file}.kept`);
    changed.close();
    copyFileSync(`${file}.kept`, file);
    copyFileSync(`${file}-wal.kept`, `${file}-wal`);
    chmodSync(file, 0o640);

    const outcome = await restoreDump(engine, dump, {}, await engineContext(directory), { overwrite: true });

    expect(existsSync(`${file}-wal`)).toBe(false);
    expect(contentOf(file)).toEqual(before);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(outcome.checks.map(({ name, passed }) => [name, passed])).toEqual([
      ["integrity", true],
      ["rows", true],
    ]);
    expect(outcome.warnings.join()).toContain("restart whatever");
  });

  it.each([
    ["wal", (database: Database.Database) => void database.prepare("select 1 from customers").get()],
    ["delete", (database: Database.Database) => void database.exec("begin immediate")],
  ])("refuses while another process uses it (%s), and says so beforehand", async (journalMode, use) => {
    const directory = tempDir();
    const { file, engine, dump } = await dumped(directory);
    const user = new Database(file);
    onTestFinished(() => void user.close());
    user.pragma(`journal_mode = ${journalMode}`);
    use(user);

    const state = await engine.inspectTarget({ entries: dump.summary.entries }, await engineContext(directory));

    expect(state.contents.join("; ")).toContain("stop the application first");
    await expect(
      restoreDump(engine, dump, {}, await engineContext(directory), { dropExisting: true }),
    ).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("in use by another process"),
    });
    expect(user.prepare("select count(*) as rows from customers").get()).toEqual({ rows: 500 });
    expect(readdirSync(directory).filter((name) => name.includes(".restore-"))).toEqual([]);
  });

  it("replaces a damaged database and puts its log aside instead of deleting it", async () => {
    const directory = tempDir();
    const { file, engine, dump } = await dumped(directory);
    const before = contentOf(file);
    writeFileSync(file, "scribbled over ".repeat(1000));
    writeFileSync(`${file}-wal`, "the last hope");

    const outcome = await restoreDump(engine, dump, {}, await engineContext(directory), { overwrite: true });

    expect(contentOf(file)).toEqual(before);
    expect(readFileSync(`${file}-wal.before-restore`, "utf8")).toBe("the last hope");
    expect(outcome.warnings.join()).toContain("-wal.before-restore");
  });

  it("replaces nothing when the new database has other rows than the backup said", async () => {
    const directory = tempDir();
    const { file, engine, dump } = await dumped(directory);
    const lying = { ...dump, summary: { ...dump.summary, inventory: { tables: [{ name: "customers", rows: 501 }] } } };
    const before = contentOf(file);

    await expect(
      restoreDump(engine, lying, {}, await engineContext(directory), { overwrite: true }),
    ).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("customers: 500 instead of 501"),
    });
    expect(contentOf(file)).toEqual(before);
  });

  it("replaces nothing when the new database is damaged", async () => {
    const directory = tempDir();
    const { file, engine, dump } = await dumped(directory);
    const bytes = Buffer.from(dump.bytes);
    bytes.fill(0xff, 4096, 8192);
    const before = contentOf(file);

    await expect(
      restoreDump(engine, { ...dump, bytes }, {}, await engineContext(directory), { overwrite: true }),
    ).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("integrity failed"),
    });
    expect(contentOf(file)).toEqual(before);
    expect(readdirSync(directory).filter((name) => name.includes(".restore-"))).toEqual([]);
  });

  it("goes where a target says, into folders that do not exist yet, with mode 0600", async () => {
    const directory = tempDir();
    const { engine, dump, file } = await dumped(directory);
    const elsewhere = join(directory, "staging", "data", "app.db");

    await restoreDump(engine, dump, { overrides: { path: elsewhere } }, await engineContext(directory));

    expect(contentOf(elsewhere)).toEqual(contentOf(file));
    expect(statSync(elsewhere).mode & 0o777).toBe(0o600);
  });

  it("looks at a target without leaving anything beside it", async () => {
    const directory = tempDir();
    const { engine, dump } = await dumped(directory);
    const before = readdirSync(directory);

    const state = await engine.inspectTarget({ entries: dump.summary.entries }, await engineContext(directory));

    expect(state).toMatchObject({ exists: true, downtime: true });
    expect(readdirSync(directory)).toEqual(before);
  });
});

describe("a signal while SQLite looks through a database, which takes it minutes", () => {
  /** Aborts when the inspector is surely at it, or comes up. */
  async function interruptible(directory: string) {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("enough")), 1_000);
    return engineContext(directory, { signal: stop.signal });
  }

  it("ends a dump, which leaves no copy", async () => {
    const directory = tempDir();
    const file = join(directory, "slow.db");
    makeSlowDatabase(file);
    const context = await interruptible(directory);

    await expect(engineWith(file).dump(context)).rejects.toThrow("enough");

    expect(readdirSync(context.temporaryDirectory)).toEqual([]);
    expect(readdirSync(directory)).toEqual(["slow.db", "temporary"]);
  });

  it("ends a restore, which leaves the old database and nothing else", async () => {
    const directory = tempDir();
    const file = join(directory, "shop.db");
    makeShop(file).close();
    const { summary } = await collectDump(engineWith(file), await engineContext(directory));
    const slow = join(tempDir(), "slow.db");
    makeSlowDatabase(slow, "wal");
    const before = readFileSync(file);

    const restored = restoreDump(
      engineWith(file),
      { summary, bytes: readFileSync(slow) },
      {},
      await interruptible(directory),
      { overwrite: true },
    );

    await expect(restored).rejects.toThrow("enough");
    expect(readFileSync(file)).toEqual(before);
    expect(readdirSync(directory)).toEqual(["shop.db", "temporary"]);
  });
});

function makeBank(file: string): void {
  const database = new Database(file);
  database.exec(`
    create table checking (id integer primary key, balance integer);
    create table savings (id integer primary key, balance integer);
    create table ledger (id integer primary key, amount integer, filler blob);
  `);
  database.transaction(() => {
    for (let id = 1; id <= 100; id++) {
      database.prepare("insert into checking values (?, 100)").run(id);
      database.prepare("insert into savings values (?, 100)").run(id);
    }
    // Enough pages that the copy takes several steps.
    for (let i = 0; i < 4000; i++)
      database.prepare("insert into ledger (amount, filler) values (0, randomblob(2000))").run();
  })();
  database.close();
}

/** Money is neither made nor lost, and the ledger has every move: true of whole transactions only. */
function bankProof(file: string) {
  const database = new Database(file);
  try {
    const sum = (sql: string) => Number(database.prepare(sql).pluck().get());
    const savings = sum("select sum(balance) from savings");
    return {
      total: sum("select sum(balance) from checking") + savings,
      ledger: sum("select sum(amount) from ledger") === savings - 10_000,
      integrity: database.pragma("integrity_check", { simple: true }),
      rows: sum("select count(*) from ledger") + 200,
    };
  } finally {
    database.close();
  }
}

function countOf(counts: Readonly<Record<string, number>>): number {
  return counts.rows ?? 0;
}
