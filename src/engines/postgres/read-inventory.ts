import { z } from "zod";
import { type DatabaseInventory, type DatabaseProperties, databaseInventory, databaseProperties } from "./inventory.ts";
import type { Session } from "./session.ts";

/** Objects of an extension come with it and are not in a dump; PostgreSQL's own schemas neither. */
const OWN_SCHEMAS =
  "n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname !~ '^pg_(toast_)?temp_'";
const notOfExtension = (catalog: string, oid: string) =>
  `not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.${catalog}'::regclass and d.objid = ${oid} and d.deptype = 'e')`;

/** Partitions' copies of a parent's constraints and triggers get new names when restored. Older servers lack the column. */
const notCloned = (row: string, parent: string) => `coalesce(pg_catalog.to_jsonb(${row}) ->> '${parent}', '0') = '0'`;

const inventoryRow = databaseInventory.omit({ properties: true });

/** What the database of the session holds, in the session's transaction. */
export async function readInventory(session: Session): Promise<DatabaseInventory> {
  const properties = await readProperties(session);
  const row = await one(session, z.object({ inventory: inventoryRow }), INVENTORY_QUERY);
  return { properties, ...row.inventory };
}

async function readProperties(session: Session): Promise<DatabaseProperties> {
  const columns = await session.rows(
    z.object({ name: z.string() }),
    "select attname::text as name from pg_catalog.pg_attribute where attrelid = 'pg_catalog.pg_database'::regclass and attnum > 0",
  );
  const row = await one(
    session,
    z.object({ properties: databaseProperties }),
    propertiesQuery(new Set(columns.map((column) => column.name))),
  );
  return row.properties;
}

async function one<Row>(session: Session, schema: z.ZodType<Row>, query: string): Promise<Row> {
  const [row] = await session.rows(schema, query);
  if (row === undefined) throw new Error("a query of the catalog gave no row");
  return row;
}

/** The columns about locales differ: a provider since 15, `datlocale` for `daticulocale` and a builtin provider since 17. */
function propertiesQuery(columns: ReadonlySet<string>): string {
  const provider = columns.has("datlocprovider")
    ? "case db.datlocprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end"
    : "'libc'";
  const locale = ["datlocale", "daticulocale"].find((name) => columns.has(name));
  return `select json_build_object(
    'owner', pg_catalog.pg_get_userbyid(db.datdba),
    'encoding', pg_catalog.pg_encoding_to_char(db.encoding),
    'collate', db.datcollate, 'ctype', db.datctype, 'provider', ${provider},
    'locale', ${locale === undefined ? "null" : `db.${locale}`},
    'icu_rules', ${columns.has("daticurules") ? "db.daticurules" : "null"},
    'tablespace', (select spcname from pg_catalog.pg_tablespace t where t.oid = db.dattablespace),
    'connection_limit', db.datconnlimit,
    'comment', pg_catalog.shobj_description(db.oid, 'pg_database'),
    'settings', coalesce((select json_agg(json_build_object('role', r.rolname, 'setting', s.setconfig) order by r.rolname nulls first)
      from pg_catalog.pg_db_role_setting s left join pg_catalog.pg_roles r on r.oid = s.setrole where s.setdatabase = db.oid), '[]'),
    'grants', (select json_agg(json_build_object('grantee', case a.grantee when 0 then null else pg_catalog.pg_get_userbyid(a.grantee) end,
        'privilege', a.privilege_type, 'grantable', a.is_grantable) order by a.grantee, a.privilege_type)
      from pg_catalog.aclexplode(db.datacl) a)
  ) as properties from pg_catalog.pg_database db where db.datname = current_database()`;
}

const list = (rows: string) => `coalesce((select json_agg(to_json(x)) from (${rows}) x), '[]')`;
const names = (rows: string) => `coalesce((select json_agg(x.name order by x.name) from (${rows}) x), '[]')`;

const relations = (kinds: string) => `select n.nspname as schema, c.relname as name from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in (${kinds}) and ${OWN_SCHEMAS} and ${notOfExtension("pg_class", "c.oid")} order by 1, 2`;

/** Things that hang on a table: `alias.table` is its oid; those of extensions' tables come with the extension. */
const onTable = (
  from: string,
  name: string,
  table: string,
  where: string,
) => `select n.nspname as schema, ${name} as name, c.relname as table
  from ${from} join pg_catalog.pg_class c on c.oid = ${table} join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where ${where} and ${OWN_SCHEMAS} and ${notOfExtension("pg_class", "c.oid")} order by 1, 3, 2`;

const INVENTORY_QUERY = `select json_build_object(
  'size_bytes', pg_catalog.pg_database_size(current_database()),
  'server_version', current_setting('server_version'),
  'roles', ${names(`select distinct pg_catalog.pg_get_userbyid(s.refobjid)::text as name from pg_catalog.pg_shdepend s
    where s.refclassid = 'pg_catalog.pg_authid'::regclass and s.deptype <> 'p'
    and (s.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
      or (s.classid = 'pg_catalog.pg_database'::regclass and s.objid = (select oid from pg_catalog.pg_database where datname = current_database())))`)},
  'tables', ${list(`select n.nspname as schema, c.relname as name,
      case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' else 'foreign table' end as kind,
      c.relpersistence = 'u' as unlogged,
      case c.relkind when 'r' then pg_catalog.pg_total_relation_size(c.oid) else 0 end as size_bytes,
      greatest(c.reltuples, 0)::bigint as estimated_rows
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f') and ${OWN_SCHEMAS} and ${notOfExtension("pg_class", "c.oid")} order by 1, 2`)},
  'sequences', ${list(`select s.schemaname as schema, s.sequencename as name, s.last_value::text as last_value
    from pg_catalog.pg_sequences s join (${relations("'S'")}) r on r.schema = s.schemaname and r.name = s.sequencename order by 1, 2`)},
  'views', ${list(relations("'v'"))},
  'materialized_views', ${list(relations("'m'"))},
  'functions', ${list(`select n.nspname as schema, p.proname as name, pg_catalog.oidvectortypes(p.proargtypes) as arguments
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where ${OWN_SCHEMAS} and ${notOfExtension("pg_proc", "p.oid")}
    and not exists (select from pg_catalog.pg_depend i where i.classid = 'pg_catalog.pg_proc'::regclass and i.objid = p.oid and i.deptype = 'i')
    order by 1, 2, 3`)},
  'triggers', ${list(onTable("pg_catalog.pg_trigger t", "t.tgname", "t.tgrelid", `not t.tgisinternal and ${notCloned("t", "tgparentid")}`))},
  'event_triggers', ${names(`select e.evtname::text as name from pg_catalog.pg_event_trigger e where ${notOfExtension("pg_event_trigger", "e.oid")}`)},
  'indexes', ${list(onTable("pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid", "x.relname", "i.indrelid", "c.relkind in ('r', 'p', 'm')"))},
  'constraints', ${list(onTable("pg_catalog.pg_constraint k", "k.conname", "k.conrelid", `k.contype <> 't' and ${notCloned("k", "conparentid")}`))},
  'policies', ${list(onTable("pg_catalog.pg_policy p", "p.polname", "p.polrelid", "true"))},
  'extensions', ${list("select extname as name, extversion as version from pg_catalog.pg_extension order by 1")},
  'large_objects', (select count(*) from pg_catalog.pg_largeobject_metadata)
) as inventory`;
