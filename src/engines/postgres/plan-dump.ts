import { z } from "zod";
import { BackupctlError } from "../../errors.ts";
import type { DumpContext, EngineTools } from "../engine.ts";
import { chooseTool, type FoundTool } from "./client-tools.ts";
import { type Connection, connectionOf } from "./connection.ts";
import type { PostgresOptions } from "./options.ts";
import { openSession, type Session } from "./session.ts";

export interface PostgresSource {
  /** Without `url`. */
  readonly options: PostgresOptions;
  readonly tools: EngineTools;
}

/** Everything that is decided before the first byte. */
export interface DumpPlan {
  readonly connection: Connection;
  readonly databases: readonly { readonly name: string; readonly tables: readonly string[] }[];
  readonly pgDump: FoundTool;
  readonly serverVersion: string;
  /** Absent: no globals in this dump. */
  readonly globals?: { readonly tool: FoundTool; readonly passwords: boolean };
}

export async function planDump({ options, tools }: PostgresSource, context: DumpContext): Promise<DumpPlan> {
  const connection = connectionOf(options);
  const session = await openSession(connection, firstDatabase(options), context.signal);
  try {
    const server = await readServer(session);
    const choice = {
      atLeast: server.major,
      tools,
      signal: context.signal,
      ...(options.bin_directory === undefined ? {} : { binDirectory: options.bin_directory }),
    };
    const patterns = context.tables ?? options.tables ?? [];
    const databases = patternsByDatabase(await chosenDatabases(session, options), patterns);
    const withGlobals = options.globals && context.tables === undefined;
    const [pgDump, pgDumpall] = await Promise.all([
      chooseTool({ ...choice, tool: "pg_dump" }),
      withGlobals ? chooseTool({ ...choice, tool: "pg_dumpall" }) : undefined,
    ]);
    return {
      connection,
      databases,
      pgDump,
      serverVersion: server.version,
      ...(pgDumpall === undefined ? {} : { globals: { tool: pgDumpall, passwords: server.may_read_passwords } }),
    };
  } finally {
    await session.close();
  }
}

/** A user may have the right to connect to one database only, so that one is used for everything then. */
export function firstDatabase(options: PostgresOptions): string {
  return options.database ?? options.maintenance_database;
}

async function readServer(session: Session) {
  const schema = z.object({ version: z.string(), version_number: z.number(), may_read_passwords: z.boolean() });
  const [server] = await session.rows(
    schema,
    `select current_setting('server_version') as version, current_setting('server_version_num')::int as version_number,
      pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select') as may_read_passwords`,
  );
  if (server === undefined) throw new Error("the server did not say its version");
  return { ...server, major: Math.floor(server.version_number / 10_000) };
}

/** The names of the source's databases. @throws if one of them does not exist, or there is none. */
export async function chosenDatabases(session: Session, options: PostgresOptions): Promise<readonly string[]> {
  if (options.database !== undefined) return [options.database];
  const rows = await session.rows(
    z.object({ name: z.string() }),
    "select datname::text as name from pg_catalog.pg_database where datallowconn and not datistemplate order by datname",
  );
  const existing = rows.map((row) => row.name);
  const wanted = options.databases ?? "all";
  const chosen = wanted === "all" ? existing.filter((name) => !isOwnLeaving(name)) : [...new Set(wanted)];
  const missing = chosen.filter((name) => !existing.includes(name));
  if (missing.length > 0) {
    throw new BackupctlError(
      "SOURCE_FAILED",
      `database ${missing.map((name) => `"${name}"`).join(", ")} does not exist`,
      {
        hint: `Correct the source's databases; there are ${existing.join(", ")}.`,
      },
    );
  }
  if (chosen.length === 0) throw new Error("the server has no database to back up");
  return chosen;
}

/** Databases that an unfinished or replaced restore left behind. */
export function isOwnLeaving(name: string): boolean {
  return /__(backupctl|replaced)_[0-9a-f]{8}$/.test(name);
}

/** `database/pattern` goes to that database; a database that no pattern is for is left out. */
function patternsByDatabase(databases: readonly string[], patterns: readonly string[]): DumpPlan["databases"] {
  if (patterns.length === 0) return databases.map((name) => ({ name, tables: [] }));
  const split = patterns.map((pattern) => {
    const database = databases.find((name) => pattern.startsWith(`${name}/`));
    return database === undefined ? { pattern } : { database, pattern: pattern.slice(database.length + 1) };
  });
  return databases
    .map((name) => ({
      name,
      tables: split.filter(({ database }) => database === undefined || database === name).map(({ pattern }) => pattern),
    }))
    .filter(({ tables }) => tables.length > 0);
}
