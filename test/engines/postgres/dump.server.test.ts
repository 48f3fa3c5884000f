import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Engine, StreamEntry } from "../../../src/engines/engine.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { type CollectedDump, collectDump, engineContext, type RecordedContext } from "../../suites/engine-suite.ts";
import { EVERY_KIND, engineOn, fakeTool } from "./subject.ts";

const PASSWORD = "hid:den\\ 'word";

const tableSchema = z.object({
  schema: z.string(),
  table: z.string(),
  columns: z.array(z.string()),
  rows: z.number(),
  offset: z.number(),
  size: z.number(),
});

/** The text of a data block: chunks, each after a sign byte and its length in four bytes; one of no bytes ends them. */
function chunksIn(block: Buffer): string {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let length = block.readUInt32LE(1); length > 0; length = block.readUInt32LE(at + 1)) {
    chunks.push(block.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  expect(at + 5).toBe(block.length);
  return Buffer.concat(chunks).toString("utf8");
}

describe.runIf(requireOrSkip("postgres"))("a dump of PostgreSQL", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ password: PASSWORD });
    process.env.REAL_PG_DUMP = join(server.binDir, "pg_dump");
    await server.sql(
      "postgres",
      "create role reader login password 'reader'; create role stranger login password 'stranger'",
    );
    for (const name of ["one", "two"]) {
      await server.createDatabase(name);
      await server.sql(
        name,
        `create table a (id int, t text); insert into a select g, E'x\\ny' from generate_series(1, 100) g;
         create table b (id int); insert into b values (1);`,
      );
    }
    await server.sql(
      "one",
      "create schema s; create table s.only_in_one (v int); grant select on all tables in schema public to reader",
    );
  });
  afterAll(async () => await server?.stop());

  const engine = (given: object, tools: Record<string, string> = {}) =>
    engineOn(server, { password: PASSWORD, ...given }, tools);
  async function dumped(
    subject: Engine,
    given: Partial<RecordedContext> = {},
  ): Promise<CollectedDump & { context: RecordedContext }> {
    const context = await engineContext(tempDir(), given);
    return { ...(await collectDump(subject, context)), context };
  }
  const named = (entries: readonly StreamEntry[], type: string) =>
    entries.filter((entry) => entry.type === type).map((entry) => entry.name);

  it("holds the globals and then every database when all are asked for", async () => {
    const { summary, bytes } = await dumped(engine({ databases: "all" }));

    expect(named(summary.entries, "globals")).toEqual(["globals.sql"]);
    expect(named(summary.entries, "database")).toEqual(["one", "postgres", "two"]);
    expect(summary.counts).toMatchObject({ databases: 3, tables: 5, rows: 202 });
    expect(summary.warnings).toEqual(['database "postgres" has no tables']);
    const globals = summary.entries[0];
    expect(bytes.subarray(0, globals?.size).toString()).toMatch(/CREATE ROLE reader;[\s\S]*PASSWORD 'SCRAM-SHA-256/);
  });

  it("gives each table's schema, rows, columns and the range in which its rows lie", async () => {
    const { summary, bytes } = await dumped(engine({ database: "one", globals: false }));

    const table = summary.entries.find((entry) => entry.name === "one/public.a");

    expect(table).toMatchObject({ type: "table", schema: "public", table: "a", rows: 100, columns: ["id", "t"] });
    const range = bytes.subarray(table?.offset, (table?.offset ?? 0) + (table?.size ?? 0)).toString("latin1");
    expect(range.match(/\tx\\ny\n/g)).toHaveLength(100);
  });

  it("gives a range that holds exactly the table's rows as COPY writes them, whatever kind of table it is", async () => {
    await server.createDatabase("every");
    await server.sql("every", readFileSync(EVERY_KIND, "utf8"));

    const { summary, bytes } = await dumped(engine({ database: "every", globals: false }));

    const tables = summary.entries.filter((entry) => entry.type === "table").map((entry) => tableSchema.parse(entry));
    expect(tables.length).toBeGreaterThan(15);
    for (const { schema, table, columns, rows, offset, size } of tables) {
      const quoted = [schema, table, ...columns].map((name) => `"${name.replaceAll('"', '""')}"`);
      const copied = await server.sql(
        "every",
        `copy (select ${quoted.slice(2).join(", ")} from only ${quoted[0]}.${quoted[1]}) to stdout`,
      );
      const lines = rows === 0 ? "" : `${copied}\n`;
      expect({ table, rows, text: chunksIn(bytes.subarray(offset, offset + size)) }).toEqual({
        table,
        rows: lines.split("\n").length - 1,
        text: `${lines}\\.\n\n\n`,
      });
    }
  });

  it("keeps to chosen tables, and leaves out what is excluded", async () => {
    const chosen = await dumped(engine({ database: "one", tables: ["public.a"] }));
    const narrowed = await dumped(engine({ database: "one" }), { tables: ["b"] });
    const without = await dumped(engine({ database: "one", exclude_tables: ["public.a"] }));
    const empty = await dumped(engine({ database: "one", exclude_table_data: ["public.a"] }));

    expect(named(chosen.summary.entries, "table")).toEqual(["one/public.a"]);
    expect(named(narrowed.summary.entries, "table")).toEqual(["one/public.b"]);
    expect(named(narrowed.summary.entries, "globals")).toEqual([]);
    expect(named(without.summary.entries, "table")).toEqual(["one/public.b", "one/s.only_in_one"]);
    expect(named(empty.summary.entries, "table")).toEqual(["one/public.b", "one/s.only_in_one"]);
    expect(empty.summary.counts).toMatchObject({ tables: 3, rows: 1 });
  });

  it("takes a table of one of several databases by database/schema.table", async () => {
    const { summary } = await dumped(engine({ databases: ["one", "two"] }), { tables: ["two/public.a"] });

    expect(named(summary.entries, "database")).toEqual(["two"]);
  });

  it("fails when a chosen table does not exist, and says how to name one", async () => {
    const failing = dumped(engine({ database: "one" }), { tables: ["public.a", "public.misspelt"] });

    await expect(failing).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringContaining("misspelt"),
      hint: expect.stringContaining("schema.table"),
    });
  });

  it("fails when one of the chosen databases does not exist, and names those that do", async () => {
    const failing = dumped(engine({ databases: ["one", "three"] }));

    await expect(failing).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: 'dump of source "suite-source" failed: database "three" does not exist',
      hint: expect.stringContaining("one, postgres, two"),
    });
  });

  it("fails with a hint when the password is wrong, and does not repeat it", async () => {
    const failing = dumped(engine({ database: "one", password: "wrong-word" }));

    await expect(failing).rejects.toMatchObject({ code: "SOURCE_FAILED", hint: expect.stringContaining("password") });
    await expect(failing).rejects.not.toThrow(/wrong-word/);
  });

  it("fails when a table may not be read", async () => {
    const failing = dumped(engine({ database: "one", user: "stranger", password: "stranger" }));

    await expect(failing).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringContaining("permission denied"),
      hint: expect.stringContaining("pg_read_all_data"),
    });
  });

  it("leaves the roles' passwords out with a warning when it may not read them", async () => {
    const { summary, bytes } = await dumped(
      engine({ database: "one", user: "reader", password: "reader", tables: ["public.*"] }),
    );

    expect(summary.warnings.join()).toContain("reader may not read roles' passwords");
    expect(bytes.includes("CREATE ROLE reader")).toBe(true);
    expect(bytes.includes("SCRAM-SHA-256")).toBe(false);
  });

  it("gives up on a locked table after lock_wait_timeout", async () => {
    const lock = server.sql("one", "begin; lock table b in access exclusive mode; select pg_sleep(4)");
    const locked = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and relation = 'b'::regclass";
    await expect.poll(async () => await server.sql("one", locked)).toBe("1");

    const failing = dumped(engine({ database: "one", lock_wait_timeout: "300ms" }));

    await expect(failing).rejects.toMatchObject({ code: "SOURCE_FAILED", message: expect.stringMatching(/lock/) });
    await lock;
  });

  it("waits for a locked table no longer than its timeout, and names the option", async () => {
    const lock = server.sql("one", "begin; lock table b in access exclusive mode; select pg_sleep(6)");
    const locked = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and relation = 'b'::regclass";
    await expect.poll(async () => await server.sql("one", locked)).toBe("1");

    const failing = dumped(engine({ database: "one", timeout: "1s" }));

    await expect(failing).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringContaining('did not say within 1s what database "one" holds'),
      hint: expect.stringContaining("lock_wait_timeout"),
    });
    await lock;
  });

  it("agrees with its inventory to the row while others write", async () => {
    let writing = true;
    const writer = (async () => {
      while (writing) await server.sql("two", "insert into b select generate_series(1, 50)");
    })();

    const { summary } = await dumped(engine({ database: "two", globals: false }));
    writing = false;
    await writer;

    const rows = Number(summary.counts.rows);
    expect((rows - 101) % 50).toBe(0);
    expect(summary.entries.find((entry) => entry.name === "two/public.b")?.rows).toBe(rows - 100);
  });

  it("never shows the password to other users of the host, and removes its file", async () => {
    const record = join(tempDir(), "record");
    process.env.FAKE_RECORD = record;
    const { context } = await dumped(engine({ database: "one" }, { pg_dump: fakeTool("pg-dump-shows-arguments.sh") }));

    const recorded = readFileSync(record, "utf8");

    expect(recorded).not.toContain("hid:den");
    expect(recorded).toContain("PGAPPNAME=backupctl");
    expect(recorded).toContain(`PGPASSFILE=${context.temporaryDirectory}/pgpass-`);
    const file = /^PGPASSFILE=(.*)$/m.exec(recorded)?.[1] ?? "";
    expect(() => readFileSync(file)).toThrow(/ENOENT/);
  });

  it("gets past a tool that says more than a pipe holds", async () => {
    const { summary } = await dumped(engine({ database: "one" }, { pg_dump: fakeTool("pg-dump-says-much.sh") }));

    expect(summary.counts.rows).toBe(101);
  });

  it("fails when pg_dumpall ends early and says that all went well", async () => {
    process.env.REAL_PG_DUMP_ALL = join(server.binDir, "pg_dumpall");
    const failing = dumped(engine({ database: "one" }, { pg_dumpall: fakeTool("pg-dumpall-stops-silently.sh") }));

    await expect(failing).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringContaining("without its completion mark"),
      hint: expect.stringContaining("run it again"),
    });
  });

  it("ends a pg_dump that hangs, and names the option", async () => {
    process.env.FAKE_PID_FILE = join(tempDir(), "pid");
    const failing = dumped(engine({ database: "one", timeout: "1s" }, { pg_dump: fakeTool("pg-dump-hangs.sh") }));

    await expect(failing).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringContaining("took too long"),
      hint: expect.stringContaining("`timeout`"),
    });
    const pid = Number(readFileSync(process.env.FAKE_PID_FILE, "utf8"));
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  it("refuses a pg_dump older than the server before it reads anything", async () => {
    const failing = engine({ database: "one" }, { pg_dump: fakeTool("pg-dump-is-old.sh") }).dump(
      await engineContext(tempDir()),
    );

    await expect(failing).rejects.toMatchObject({
      code: "TOOL_TOO_OLD",
      hint: expect.stringContaining(`postgresql-client-${server.major}`),
    });
  });

  it("leaves no session behind when its reader goes away", async () => {
    const dump = await engine({ database: "one" }).dump(await engineContext(tempDir()));
    if (dump.shape !== "stream") throw new Error("expected a stream");
    for await (const _ of dump.bytes) break;

    await expect(dump.finish()).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: expect.stringContaining("not read to its end"),
    });
    await expect
      .poll(
        async () =>
          await server.sql("postgres", "select count(*) from pg_stat_activity where application_name = 'backupctl'"),
      )
      .toBe("0");
  });
});
