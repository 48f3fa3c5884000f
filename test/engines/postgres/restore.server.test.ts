import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StreamRestore } from "../../../src/engines/engine.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { type CollectedDump, collectDump, engineContext, restoreDump } from "../../suites/engine-suite.ts";
import { databasesOf, EVERY_KIND, engineOn, rowsOf, textOf } from "./subject.ts";

const run = promisify(execFile);

const DATABASE_ITSELF = `
  alter database everything set search_path = app, public;
  alter database everything set work_mem = '8MB';
  alter role kind_reader in database everything set statement_timeout = '5s';
  comment on database everything is 'it''s all';
  revoke temporary on database everything from public;
  grant connect, create on database everything to kind_reader with grant option;
  alter database everything connection limit 50;
  alter database everything owner to kind_owner;`;

describe.runIf(requireOrSkip("postgres"))("a restore of PostgreSQL", () => {
  let server: PostgresServer;
  let everything: CollectedDump;
  const engine = (given: object = { database: "everything" }) => engineOn(server, given);
  const context = async (given = {}) => await engineContext(tempDir(), given);
  beforeAll(async () => {
    server = await startPostgres({ settings: { wal_level: "logical" } });
    await server.createDatabase("everything");
    await server.sql("everything", readFileSync(EVERY_KIND, "utf8"));
    await server.sql("postgres", DATABASE_ITSELF);
    everything = await collectDump(engine(), await engineContext(server.socketDir));
  });
  afterAll(async () => await server?.stop());

  it("brings every kind of object and every type of column back under a new name", async () => {
    const outcome = await restoreDump(engine(), everything, { to: "renewed" }, await context());

    expect(outcome.warnings).toEqual([]);
    expect(outcome.checks.filter((check) => !check.passed)).toEqual([]);
    expect(outcome.checks.map((check) => check.name)).toEqual(
      expect.arrayContaining(["tables", "rows", "sequence values", "views", "functions", "triggers", "large objects"]),
    );
    expect(await textOf(server, "renewed")).toBe(await textOf(server, "everything"));
    expect(await rowsOf(server, "renewed")).toEqual(await rowsOf(server, "everything"));
  });

  it("brings a pgbench database back row by row", async () => {
    await server.createDatabase("counting");
    const place = ["-h", server.socketDir, "-p", String(server.port), "-U", server.user];
    await run(join(server.binDir, "pgbench"), [...place, "-i", "-q", "counting"]);
    await run(join(server.binDir, "pgbench"), [...place, "-t", "200", "counting"]);
    const dumped = await collectDump(engine({ database: "counting" }), await context());

    await restoreDump(engine(), dumped, { to: "counting_again" }, await context());

    expect(dumped.summary.counts).toMatchObject({ tables: 4, rows: 100_000 + 10 + 1 + 200 });
    expect(await textOf(server, "counting_again")).toBe(await textOf(server, "counting"));
    expect(await rowsOf(server, "counting_again")).toEqual(await rowsOf(server, "counting"));
  });

  it("replaces a database in use by swapping names, and leaves nothing beside it", async () => {
    const before = { text: await textOf(server, "everything"), rows: await rowsOf(server, "everything") };
    await server.sql(
      "everything",
      "delete from app.purchase; drop view app.spending; create table public.extra (a int)",
    );
    const user = new Client({
      host: server.host,
      port: server.port,
      user: server.user,
      database: "everything",
      application_name: "shop",
    });
    const ended = new Promise((resolve) => user.on("error", resolve));
    await user.connect();
    const databases = await databasesOf(server);

    const state = await engine().inspectTarget({ entries: everything.summary.entries }, await context());
    await restoreDump(engine(), everything, {}, await context(), { dropExisting: true });

    expect(state).toMatchObject({ exists: true, downtime: true });
    expect(state.contents.join("\n")).toContain('1 session of user postgres (shop) in "everything"');
    await ended;
    expect(await textOf(server, "everything")).toBe(before.text);
    expect(await rowsOf(server, "everything")).toEqual(before.rows);
    expect(await databasesOf(server)).toEqual(databases);
  });

  it("replaces a database whose clients reconnect at once", async () => {
    await restoreDump(engine(), everything, { to: "busy" }, await context());
    let working = true;
    const clients = [1, 2, 3].map(async () => {
      while (working) await server.sql("busy", "select pg_sleep(0.01)").catch(() => undefined);
    });

    await restoreDump(engine(), everything, { to: "busy" }, await context(), { dropExisting: true });
    working = false;
    await Promise.all(clients);

    expect((await databasesOf(server)).filter((name) => name.includes("__"))).toEqual([]);
  });

  it("makes the roles that are missing, and keeps those that are there", async () => {
    const elsewhere = await startPostgres();
    try {
      await elsewhere.sql("postgres", "create role kind_owner login connection limit 3");
      const target = { overrides: { port: elsewhere.port, database: "moved" } };

      const outcome = await restoreDump(engine(), everything, target, await context());

      expect(outcome.warnings).toEqual([]);
      expect(
        await elsewhere.sql(
          "postgres",
          "select rolname, rolconnlimit from pg_roles where rolname in ('kind_owner', 'kind_reader', 'odd role') order by 1",
        ),
      ).toBe("kind_owner|3\nkind_reader|-1\nodd role|-1");
      expect(await elsewhere.sql("moved", "select count(*) from app.purchase")).toBe("500");
      expect(outcome.place).toBe(`database "moved" on 127.0.0.1:${elsewhere.port}`);
    } finally {
      await elsewhere.stop();
    }
  });

  it("brings the data back without owners and rights where the roles are not to be had", async () => {
    const elsewhere = await startPostgres();
    try {
      await server.createDatabase("owned");
      await server.sql("owned", "create table t (a int); insert into t values (1); alter table t owner to kind_owner");
      const dumped = await collectDump(engine({ database: "owned", globals: false }), await context());

      const outcome = await restoreDump(engine(), dumped, { overrides: { port: elsewhere.port } }, await context());

      expect(outcome.warnings.join()).toContain("roles that do not exist here: kind_owner");
      expect(await elsewhere.sql("owned", "select a from t")).toBe("1");
    } finally {
      await elsewhere.stop();
    }
  });

  it("restores several databases, all beside before the first is swapped in", async () => {
    for (const name of ["several_a", "several_b"]) {
      await server.createDatabase(name);
      await server.sql(name, `create table t as select '${name}' as name`);
    }
    const dumped = await collectDump(engine({ databases: ["several_a", "several_b"] }), await context());
    await server.sql("several_a", "delete from t");
    await server.sql("several_b", "delete from t");

    const broken = restoreDump(engine(), dumped, {}, await context(), { dropExisting: true, breakAfter: 0.9 });
    await expect(broken).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("broke off"),
    });
    const afterFailure = await server.sql("several_a", "select count(*) from t");
    const outcome = await restoreDump(engine(), dumped, {}, await context(), { dropExisting: true });

    expect(afterFailure).toBe("0");
    expect(await server.sql("several_a", "select name from t")).toBe("several_a");
    expect(await server.sql("several_b", "select name from t")).toBe("several_b");
    expect(outcome.checks.map((check) => check.name)).toEqual(
      expect.arrayContaining(["several_a: rows", "several_b: rows"]),
    );
  });

  it("restores one of several databases under a new name, and refuses one name for all", async () => {
    const dumped = await collectDump(engine({ databases: ["everything", "postgres"] }), await context());
    const { entries } = dumped.summary;
    const one = entries.filter((entry) => entry.name === "postgres");

    const state = await engine().inspectTarget({ entries, to: "x" }, await context());
    await restoreDump(engine(), dumped, { to: "only_one" }, await context(), { entries: one });

    expect(state.refusal).toMatch(/2 databases \(everything, postgres\).*--include/);
    await expect(restoreDump(engine(), dumped, { to: "x" }, await context())).rejects.toMatchObject({ code: "USAGE" });
    expect(await databasesOf(server)).toContain("only_one");
  });

  it("refuses to put a database in place that differs from the inventory, and keeps the old one", async () => {
    await server.createDatabase("counted");
    await server.sql("counted", "create table t (a int); insert into t values (1), (2)");
    const dumped = await collectDump(engine({ database: "counted" }), await context());
    const inventory: StreamRestore["inventory"] = JSON.parse(
      JSON.stringify(dumped.summary.inventory).replace('"rows":2', '"rows":3'),
    );
    const altered = { ...dumped, summary: { ...dumped.summary, inventory: inventory ?? {} } };
    await server.sql("counted", "delete from t");

    const refused = restoreDump(engine(), altered, {}, await context(), { dropExisting: true });

    await expect(refused).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("rows: public.t: 2 instead of 3"),
    });
    expect(await server.sql("counted", "select count(*) from t")).toBe("0");
    expect((await databasesOf(server)).filter((name) => name.includes("__"))).toEqual([]);
  });

  it("stops when aborted, and drops what it had begun", async () => {
    const controller = new AbortController();
    const reason = new Error("stopped by the test");
    const activity = (item: string) => {
      if (item.startsWith("counting")) controller.abort(reason);
    };

    const aborted = restoreDump(
      engine(),
      everything,
      { to: "stopped" },
      await context({ signal: controller.signal, activity }),
    );

    await expect(aborted).rejects.toBe(reason);
    expect((await databasesOf(server)).filter((name) => name.startsWith("stopped"))).toEqual([]);
  });

  it("reports databases that a killed restore left", async () => {
    await server.createDatabase("old__backupctl_0123abcd");
    await server.createDatabase("tiny");
    const dumped = await collectDump(engine({ database: "tiny" }), await context());

    const outcome = await restoreDump(engine(), dumped, { to: "tiny_two" }, await context());
    await server.sql("postgres", "drop database old__backupctl_0123abcd");

    expect(outcome.warnings.join()).toContain('"old__backupctl_0123abcd" is left from a restore that did not end');
  });

  it("restores into the maintenance database itself, and into names of 63 bytes", async () => {
    const long = "ü".repeat(31);
    await server.sql("postgres", "create table here (a int)");
    const dumped = await collectDump(engine({ database: "postgres" }), await context());
    await server.sql("postgres", "drop table here");

    await restoreDump(engine(), dumped, {}, await context(), { dropExisting: true });
    await restoreDump(engine(), dumped, { to: long }, await context());

    expect(await server.sql("postgres", "select count(*) from here")).toBe("0");
    expect(await databasesOf(server)).toContain(long);
    const longer = await engine().inspectTarget({ to: `${long}xx`, entries: dumped.summary.entries }, await context());
    expect(longer.refusal).toContain("63 bytes");
  });

  it("downloads as files that psql and pg_restore read", async () => {
    const files = engine().download?.files(everything.summary.entries, everything.bytes.length);

    expect(files?.map((file) => file.name)).toEqual(["globals.sql", "everything.dump"]);
    const dump = files?.[1];
    expect(everything.bytes.subarray(dump?.offset, (dump?.offset ?? 0) + 5).toString()).toBe("PGDMP");
    expect((dump?.offset ?? 0) + (dump?.size ?? 0)).toBe(everything.bytes.length);
  });
});
