import { z } from "zod";
import type { Database } from "./database.ts";

/** What a database holds: kept in the sealed index, compared after a restore. */
export const inventorySchema = z.object({
  tables: z.array(z.object({ name: z.string(), rows: z.number().exactOptional() })),
  indexes: z.array(z.string()),
  views: z.array(z.string()),
  triggers: z.array(z.string()),
  size: z.number(),
  page_size: z.number(),
  user_version: z.number(),
});

export type Inventory = z.infer<typeof inventorySchema>;

const schemaRows = z.array(z.object({ type: z.string(), name: z.string(), sql: z.string().nullable() }));
const countRow = z.object({ rows: z.number() });
const versionRow = z.object({ version: z.string() });

/** The tables part of a stored inventory. */
export const storedInventory = z.object({
  tables: z.array(z.object({ name: z.string(), rows: z.number().optional() })),
});

export function readInventory(database: Database): Inventory {
  const objects = schemaRows.parse(database.prepare("select type, name, sql from sqlite_schema order by name").all());
  const named = (type: string) =>
    objects.filter((one) => one.type === type && !one.name.startsWith("sqlite_")).map((one) => one.name);
  const pages = numberOf(database, "page_count");
  const pageSize = numberOf(database, "page_size");
  return {
    tables: named("table").map((name) => ({ name, ...rowsOf(database, name) })),
    indexes: named("index"),
    views: named("view"),
    triggers: named("trigger"),
    size: pages * pageSize,
    page_size: pageSize,
    user_version: numberOf(database, "user_version"),
  };
}

/** A virtual table whose module only the application has can't be counted; its shadow tables are. */
function rowsOf(database: Database, table: string): { readonly rows?: number } {
  try {
    return countRow.parse(database.prepare(`select count(*) as rows from ${quoted(table)}`).get());
  } catch (error) {
    if (error instanceof Error && /no such module|unknown tokenizer/i.test(error.message)) return {};
    throw error;
  }
}

/** The problems that SQLite finds; none: sound. */
export function integrityProblems(database: Database): readonly string[] {
  const found = z.array(z.object({ integrity_check: z.string() })).parse(database.pragma("integrity_check"));
  return found.map((row) => row.integrity_check).filter((text) => text !== "ok");
}

export function sqliteVersion(database: Database): string {
  return versionRow.parse(database.prepare("select sqlite_version() as version").get()).version;
}

function numberOf(database: Database, pragma: string): number {
  return z.number().parse(database.pragma(pragma, { simple: true }));
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
