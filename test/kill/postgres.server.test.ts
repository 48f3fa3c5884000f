import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Operations } from "../../src/operations/operations.ts";
import { databasesOf, rowsOf } from "../engines/postgres/subject.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { restore } from "../operations/restore/tools.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { createNext, expectNoLeavings, expectTrue, expectWholeBackups, nextRun } from "./after-the-kill.ts";
import { type KillSite, makeKillSite } from "./killed-program.ts";

const DATABASES = ["shop", "blog"];

describe.runIf(requireOrSkip("postgres"))("with a database on a server", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  let server: PostgresServer;
  let site: KillSite;
  beforeAll(async () => {
    server = await startPostgres();
    const place = `host: ${server.host}, port: ${server.port}, user: ${server.user}, bin_directory: ${server.binDir}`;
    site = await makeKillSite(directory, `  shop: {engine: postgres, ${place}, databases: [shop, blog]}`);
    await putDatabases("select n as id, repeat(md5(n::text), 30) as text from generate_series(1, 2000) n");
    await site.run("create");
    site.keep();
  }, 600_000);
  afterAll(async () => await server?.stop());

  it("a create that is killed leaves a whole backup or none, no session, and the next run clears up", async () => {
    for (const kill of await site.kills(["create", "--mode", "incremental"])) {
      await kill.run();
      await said(kill.what, async () => {
        await untilAlone();
        await nextRun(site, async (operations) => {
          await expectWholeBackups(operations);
          await createNext(operations);
          await expectWholeBackups(operations);
        });
        await expectNoLeavings(site);
      });
    }
  });

  it("a restore that is killed leaves each database the old or the new, and the next one says which may be, and what else it left", async () => {
    const command = ["restore", "latest", "--source", "shop", "--drop-existing", "--yes"];
    const restored = await rowsOfAll();
    const kills = await site.kills(command);
    for (const kill of kills) {
      for (const name of await besideOurs()) await server.sql("postgres", `drop database "${name}"`);
      await putDatabases("select 1 as id");
      const old = await rowsOfAll();
      await kill.run();
      await said(kill.what, async () => {
        await untilAlone();
        const now = await rowsOfAll();
        for (const [i, rows] of now.entries()) expect([old[i], restored[i]]).toContainEqual(rows);
        const left = await besideOurs();

        const told: string[] = [];
        const again = (operations: Operations) =>
          restore(operations, { reference: "latest", sources: ["shop"], dropExisting: true });
        const { warnings } = await nextRun(site, again, told);

        expectTrue(told, ["shop"], { old, now, restored });
        expect(await rowsOfAll()).toEqual(restored);
        expect(await besideOurs()).toEqual(left);
        for (const name of left) expect(warnings.join("\n")).toContain(`dropdb '${name}'`);
        await expectNoLeavings(site);
      });
    }
  });

  async function putDatabases(rows: string): Promise<void> {
    for (const name of DATABASES) {
      await server.sql("postgres", `drop database if exists ${name} with (force)`);
      await server.createDatabase(name);
      await server.sql(name, `create table notes as ${rows}`);
    }
  }

  async function rowsOfAll(): Promise<readonly string[]> {
    const rows: string[] = [];
    for (const name of DATABASES) rows.push(JSON.stringify(await rowsOf(server, name)));
    return rows;
  }

  async function besideOurs(): Promise<readonly string[]> {
    return (await databasesOf(server)).filter((name) => name !== "postgres" && !DATABASES.includes(name));
  }

  /** The tools of a run that was killed notice it by themselves, and so does the server. */
  async function untilAlone(): Promise<void> {
    const others =
      "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
    await expect.poll(() => server.sql("postgres", others), { timeout: 60_000, interval: 200 }).toBe("0");
  }
});
