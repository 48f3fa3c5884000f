import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Engine } from "../../../src/engines/engine.ts";
import { openEngine } from "../../../src/engines/postgres/engine.ts";
import { options } from "../../../src/engines/postgres/options.ts";
import type { PostgresServer } from "../../servers/postgres.ts";

const run = promisify(execFile);

export const EVERY_KIND = join(import.meta.dirname, "../../fixtures/postgres/every-kind.sql");

/** An engine with these options on the server of a test. */
export function engineOn(server: PostgresServer, given: object, tools: Record<string, string> = {}): Engine {
  const place = { host: server.host, port: server.port, user: server.user, bin_directory: server.binDir };
  return openEngine(options.parse({ ...place, ...given }), tools);
}

export function fakeTool(name: string): string {
  return join(import.meta.dirname, "../../helpers/fake-tools", name);
}

/** The database with everything that belongs to it as SQL text, without what is random or its own name. */
export async function textOf(server: PostgresServer, database: string): Promise<string> {
  const place = ["-h", server.socketDir, "-p", String(server.port), "-U", server.user];
  const { stdout } = await run(join(server.binDir, "pg_dump"), [...place, "--create", database], {
    maxBuffer: 512 * 1024 * 1024,
  });
  return stdout.replace(/^\\(un)?restrict .*$/gm, "").replaceAll(database, "DATABASE");
}

/** Every row of every table as text, sorted: compares also where a dump would have the same fault twice. */
export async function rowsOf(server: PostgresServer, database: string): Promise<readonly string[]> {
  const tables = await server.sql(
    database,
    `select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'm') and (c.relkind = 'r' or c.relispopulated) and n.nspname not in ('pg_catalog', 'information_schema') order by 1`,
  );
  const rows: string[] = [];
  for (const table of tables.split("\n").filter(Boolean)) {
    const found = await server.sql(database, `select t::text from only ${table} t order by 1`);
    rows.push(`${table}:`, ...found.split("\n"));
  }
  const largeObjects = await server.sql(
    database,
    "select oid, encode(lo_get(oid), 'hex') from pg_largeobject_metadata order by 1",
  );
  return [...rows, largeObjects];
}

export async function databasesOf(server: PostgresServer): Promise<readonly string[]> {
  return (await server.sql("postgres", "select datname from pg_database where not datistemplate order by 1")).split(
    "\n",
  );
}

/** The pid that a fake tool wrote, as soon as it has. */
export async function pidIn(file: string): Promise<number> {
  for (;;) {
    const pid = Number(await readFile(file, "utf8").catch(() => ""));
    if (pid > 0) return pid;
    await sleep(20);
  }
}
