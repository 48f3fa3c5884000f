import type { StreamEntry } from "../engine.ts";
import { columnsOf } from "./copy-statement.ts";
import type { Archive, TocEntry } from "./custom-archive.ts";
import type { DatabaseInventory } from "./inventory.ts";
import { quoteIdentifier } from "./session.ts";

/** The entries of one database's part of the stream: itself, then the data of each table in stream order. */
export function entriesOf(database: string, archive: Archive, partOffset: number): readonly StreamEntry[] {
  const byId = new Map(archive.toc.map((entry) => [entry.dumpId, entry]));
  const { header } = archive;
  const whole: StreamEntry = {
    name: database,
    type: "database",
    offset: partOffset,
    size: archive.sizeBytes,
    archive_version: header.version,
    integer_bytes: header.integerBytes,
    pg_dump: header.dumpVersion ?? "",
    server: header.serverVersion ?? "",
  };
  let largeObjects = 0;
  const data = archive.blocks.map((block): StreamEntry => {
    const entry = byId.get(block.dumpId);
    const place = { offset: partOffset + block.offset, size: block.size, rows: block.rows };
    if (entry === undefined || entry.copyStatement === "") {
      largeObjects++;
      const number = largeObjects === 1 ? "" : ` ${largeObjects}`;
      return { name: `${database}/large objects${number}`, type: "large_objects", ...place };
    }
    const schema = entry.schema ?? "";
    return {
      name: `${database}/${unambiguous(schema)}.${unambiguous(entry.tag)}`,
      type: "table",
      ...place,
      schema,
      table: entry.tag,
      columns: columnsOf(entry.copyStatement),
    };
  });
  return [whole, ...data];
}

/** `a.b` must not name both `a`.`b` and a table `a.b`: names with special characters are quoted as in SQL. */
function unambiguous(name: string): string {
  return /[."/]/.test(name) ? quoteIdentifier(name) : name;
}

const SETVAL = /setval\('(?:[^']|'')*', (-?\d+), (true|false)\)/;

/**
 * What of the inventory the archive really holds: less than the database where tables were chosen or left out. Rows and
 * sequences' values are taken from the archive, because sequences don't keep to a snapshot.
 */
export function inventoryOf(archive: Archive, inventory: DatabaseInventory): DatabaseInventory {
  const toc = tocIndex(archive.toc);
  const rows = rowsByTable(archive);
  const tables = inventory.tables
    .filter((table) => toc.has(["TABLE", "FOREIGN TABLE"], table))
    .map((table) => {
      const counted = rows.get(keyOf(table.schema, table.name));
      return counted === undefined ? table : { ...table, rows: counted };
    });
  const views = inventory.views.filter((view) => toc.has(["VIEW"], view));
  const materialized = inventory.materialized_views.filter((view) => toc.has(["MATERIALIZED VIEW"], view));
  const carriers = new Set([...tables, ...views, ...materialized].map((item) => keyOf(item.schema, item.name)));
  const onKept = (item: { schema: string; table: string }) => carriers.has(keyOf(item.schema, item.table));
  return {
    ...inventory,
    tables,
    views,
    materialized_views: materialized,
    sequences: inventory.sequences
      .filter((sequence) => toc.has(["SEQUENCE"], sequence))
      .map((sequence) => ({ ...sequence, ...sequenceValue(toc.find("SEQUENCE SET", sequence)) })),
    functions: inventory.functions.filter((item) => toc.hasFunction(item)),
    triggers: inventory.triggers.filter(onKept),
    indexes: inventory.indexes.filter(onKept),
    constraints: inventory.constraints.filter(onKept),
    policies: inventory.policies.filter(onKept),
    event_triggers: inventory.event_triggers.filter((name) => toc.has(["EVENT TRIGGER"], { name })),
    // the language's own extension is in every database made from a template, and in no dump
    extensions: inventory.extensions.filter(({ name }) => name === "plpgsql" || toc.has(["EXTENSION"], { name })),
    roles: [...new Set([...inventory.roles, ...archive.toc.map((entry) => entry.owner).filter(Boolean)])].sort(),
    large_objects: largeObjectsIn(archive),
  };
}

interface Named {
  readonly schema?: string;
  readonly name: string;
}

function tocIndex(toc: readonly TocEntry[]) {
  const keyed = new Map(toc.map((entry) => [`${entry.description}\0${keyOf(entry.schema, entry.tag)}`, entry]));
  const functions = new Set(
    toc
      .filter((entry) => ["FUNCTION", "PROCEDURE", "AGGREGATE"].includes(entry.description))
      .map((entry) => keyOf(entry.schema, entry.tag.slice(0, entry.tag.indexOf("(")))),
  );
  const find = (description: string, item: Named) => keyed.get(`${description}\0${keyOf(item.schema, item.name)}`);
  return {
    find,
    has: (descriptions: readonly string[], item: Named) => descriptions.some((description) => find(description, item)),
    hasFunction: (item: Named) => functions.has(keyOf(item.schema, item.name)),
  };
}

function keyOf(schema: string | undefined, name: string): string {
  return `${schema ?? ""}\0${name}`;
}

function sequenceValue(entry: TocEntry | undefined): { last_value?: string; is_called?: boolean } {
  const match = SETVAL.exec(entry?.definition ?? "");
  return match?.[1] === undefined ? {} : { last_value: match[1], is_called: match[2] === "true" };
}

function rowsByTable(archive: Archive): ReadonlyMap<string, number> {
  const rowsById = new Map(archive.blocks.map((block) => [block.dumpId, block.rows]));
  const data = archive.toc.filter((entry) => entry.description === "TABLE DATA");
  return new Map(data.map((entry) => [keyOf(entry.schema, entry.tag), rowsById.get(entry.dumpId) ?? 0]));
}

function largeObjectsIn(archive: Archive): number {
  const tables = new Set(archive.toc.filter((entry) => entry.copyStatement !== "").map((entry) => entry.dumpId));
  return archive.blocks.filter((block) => !tables.has(block.dumpId)).reduce((sum, block) => sum + block.rows, 0);
}
