import { z } from "zod";
import { count } from "../../domain/count.ts";
import type { EngineContext, StreamEntry, TargetRequest, TargetState } from "../engine.ts";
import { addressOf, type Connection, connectionOf, withoutUrl } from "./connection.ts";
import { options as optionsSchema, type PostgresOptions } from "./options.ts";
import type { PostgresSource } from "./plan-dump.ts";
import { openSession, quoteIdentifier, type Session } from "./session.ts";
import { databaseExists } from "./target-database.ts";

/** Where each database of a backup goes. */
export interface Target {
  readonly options: PostgresOptions;
  readonly connection: Connection;
  readonly databases: readonly { readonly entry: StreamEntry; readonly name: string }[];
  /** A database to be connected to while the targets are renamed. */
  readonly adminDatabase: string;
  readonly place: string;
  readonly refusal?: string;
}

export function targetOf(source: PostgresSource, request: TargetRequest): Target {
  const options = overridden(source.options, request.overrides ?? {});
  const entries = request.entries.filter((entry) => entry.type === "database");
  const newName = request.to ?? nameInOverrides(request.overrides);
  const databases = entries.map((entry) => ({ entry, name: newName ?? entry.name }));
  const connection = connectionOf(options);
  const taken = databases.some(({ name }) => name === options.maintenance_database);
  const names = databases.map(({ name }) => `"${name}"`).join(", ");
  const refusal = refusalFor(entries, newName);
  return {
    options,
    connection,
    databases,
    adminDatabase: taken ? "template1" : options.maintenance_database,
    place: `${names === "" ? "no database" : `database ${names}`} on ${addressOf(connection)}`,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

function nameInOverrides(overrides: TargetRequest["overrides"]): string | undefined {
  if (overrides === undefined) return undefined;
  return withoutUrl(optionsSchema.parse(overrides)).database;
}

function overridden(base: PostgresOptions, overrides: Readonly<Record<string, unknown>>): PostgresOptions {
  const parsed: Record<string, unknown> = withoutUrl(optionsSchema.parse(overrides));
  // defaults of the schema must not hide what the source itself says
  for (const name of ["globals", "maintenance_database"]) if (!(name in overrides)) delete parsed[name];
  const { database, databases, ...place } = base;
  return optionsSchema.parse({ ...place, ...parsed });
}

/** PostgreSQL would cut a longer name without an error. */
const MOST_NAME_BYTES = 63;

function refusalFor(entries: readonly StreamEntry[], newName: string | undefined): string | undefined {
  if (entries.length === 0) return "no whole database is chosen: choose one with --include DATABASE, or use download";
  if (newName !== undefined && Buffer.byteLength(newName) > MOST_NAME_BYTES)
    return `a database's name has at most ${MOST_NAME_BYTES} bytes, and "${newName}" has ${Buffer.byteLength(newName)}`;
  if (entries.length > 1 && newName !== undefined) {
    const names = entries.map((entry) => entry.name).join(", ");
    return `the backup has ${entries.length} databases (${names}), and they can't all be called "${newName}": choose one with --include DATABASE`;
  }
  return undefined;
}

/** Looks at every database that a restore would make or replace. */
export async function inspect(target: Target, context: EngineContext): Promise<TargetState> {
  const contents: string[] = [];
  const overwrites: string[] = [];
  const session = await openSession(target.connection, target.adminDatabase, context.signal);
  try {
    for (const { name } of target.databases) {
      if (!(await databaseExists(session, name))) continue;
      contents.push(...(await describe(session, target, name, context)));
      overwrites.push(`database "${name}" is replaced as a whole, and its sessions are ended`);
    }
  } finally {
    await session.close();
  }
  return {
    place: target.place,
    exists: overwrites.length > 0,
    contents,
    overwrites,
    downtime: overwrites.length > 0,
    ...(target.refusal === undefined ? {} : { refusal: target.refusal }),
  };
}

async function describe(
  admin: Session,
  target: Target,
  name: string,
  context: EngineContext,
): Promise<readonly string[]> {
  const sessions = await admin.rows(
    z.object({ user: z.string(), count: z.coerce.number(), application: z.string() }),
    `select coalesce(usename, 'unknown')::text as user, count(*) as count,
      coalesce(string_agg(distinct nullif(application_name, ''), ', '), '') as application
     from pg_catalog.pg_stat_activity where datname = $1 and pid <> pg_catalog.pg_backend_pid() group by usename order by usename`,
    [name],
  );
  const size = await sizeOf(target, name, context);
  return [
    `database "${name}": ${size}`,
    ...sessions.map(({ user, count: sessionCount, application }) => {
      const applications = application === "" ? "" : ` (${application})`;
      return `${count(sessionCount, "session")} of user ${user}${applications} in "${name}"`;
    }),
  ];
}

async function sizeOf(target: Target, name: string, context: EngineContext): Promise<string> {
  const session = await openSession(target.connection, name, context.signal);
  try {
    const [row] = await session.rows(
      z.object({ tables: z.coerce.number(), size: z.string() }),
      `select count(*) as tables, pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(current_database())) as size
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')`,
    );
    return row === undefined ? "" : `${count(row.tables, "table")}, ${row.size}`;
  } finally {
    await session.close();
  }
}

/** `"schema"."name"` for a statement. */
export function qualified(item: { readonly schema: string; readonly name: string }): string {
  return `${quoteIdentifier(item.schema)}.${quoteIdentifier(item.name)}`;
}
