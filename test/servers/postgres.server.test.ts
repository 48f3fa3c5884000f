import { existsSync } from "node:fs";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { installedPostgresMajors, requireOrSkip } from "./requirements.ts";

describe.runIf(requireOrSkip("postgres"))("a throw-away PostgreSQL", () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ password: "it's secret" });
  });

  afterAll(async () => {
    await server.stop();
    await server.stop();
    expect(existsSync(server.socketDir)).toBe(false);
  });

  test("runs SQL in a database of its own", async () => {
    await server.createDatabase('Ord"ers');

    await server.sql('Ord"ers', "create table t (a int, b text); insert into t values (1, 'x'), (2, null);");

    expect(await server.sql('Ord"ers', "select a, b from t order by a")).toBe("1|x\n2|");
  });

  test("says what is wrong with the SQL", async () => {
    await expect(server.sql("postgres", "select * from nowhere; select 1")).rejects.toThrow('"nowhere" does not exist');
  });

  test("asks for the password over TCP", async () => {
    const { host, port, user } = server;
    const connect = async (password: string) => {
      const client = new Client({ host, port, user, password, database: "postgres" });
      try {
        await client.connect();
        return (await client.query("select current_user as name")).rows[0].name as string;
      } finally {
        await client.end();
      }
    };

    await expect(connect("wrong")).rejects.toThrow("password authentication failed");
    expect(await connect("it's secret")).toBe("postgres");
  });

  test.each(installedPostgresMajors())("starts PostgreSQL %i, and two at once do not meet", async (major) => {
    const [one, two] = await Promise.all([startPostgres({ major }), startPostgres({ major })]);

    try {
      expect(one.port).not.toBe(two.port);
      expect(await one.sql("postgres", "show server_version_num")).toMatch(new RegExp(`^${major}\\d{4}$`));
    } finally {
      await Promise.all([one.stop(), two.stop()]);
    }
  });
});
