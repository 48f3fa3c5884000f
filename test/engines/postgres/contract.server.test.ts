import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { engineSuite } from "../../suites/engine-suite.ts";
import { engineOn, fakeTool, pidIn, rowsOf } from "./subject.ts";

describe.runIf(requireOrSkip("postgres"))("PostgreSQL", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
    await server.createDatabase("shop");
    await server.sql(
      "shop",
      `create table item (id int generated always as identity primary key, name text);
       insert into item (name) select 'item ' || g from generate_series(1, 5000) g;
       create view cheap as select * from item where id < 10;`,
    );
    process.env.REAL_PG_DUMP = join(server.binDir, "pg_dump");
  });
  afterAll(async () => await server?.stop());

  engineSuite("postgres", async (directory) => {
    const restored = `shop_${randomBytes(4).toString("hex")}`;
    const pidFile = join(directory, "pid");
    process.env.FAKE_PID_FILE = pidFile;
    const faked = (name: string) => engineOn(server, { database: "shop" }, { pg_dump: fakeTool(name) });
    return {
      engine: engineOn(server, { database: "shop" }),
      kind: "pgdump",
      elsewhere: { to: restored },
      sourceContent: async () => await rowsOf(server, "shop"),
      restoredContent: async () => await rowsOf(server, restored),
      failing: [
        { name: "pg_dump exits with 1 after half", engine: faked("pg-dump-fails-halfway.sh") },
        { name: "pg_dump stops after half with 0", engine: faked("pg-dump-stops-silently.sh") },
        { name: "pg_dump is killed", engine: faked("pg-dump-is-killed.sh") },
        { name: "pg_dump exits with 1 after all", engine: faked("pg-dump-fails-at-the-end.sh") },
        { name: "pg_dump gives nothing", engine: faked("pg-dump-gives-nothing.sh") },
        { name: "there is no such database", engine: engineOn(server, { database: "nowhere" }) },
        { name: "nobody listens", engine: engineOn(server, { database: "shop", port: 1 }) },
      ],
      endless: { engine: faked("pg-dump-hangs.sh"), child: async () => await pidIn(pidFile) },
    };
  });
});
