import { z } from "zod";

const named = z.object({ schema: z.string(), name: z.string() });
const onTable = named.extend({ table: z.string() });

/** What can be set on a database itself; pg_restore leaves it out unless it makes the database under its old name. */
export const databaseProperties = z.object({
  owner: z.string(),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  provider: z.enum(["libc", "icu", "builtin"]),
  locale: z.string().nullable(),
  icu_rules: z.string().nullable(),
  tablespace: z.string(),
  connection_limit: z.number(),
  comment: z.string().nullable(),
  /** `role` null: for everyone. Each setting as `name=value`. */
  settings: z.array(z.object({ role: z.string().nullable(), setting: z.array(z.string()) })),
  /** null: PostgreSQL's default rights. */
  grants: z
    .array(z.object({ grantee: z.string().nullable(), privilege: z.string(), grantable: z.boolean() }))
    .nullable(),
});

export type DatabaseProperties = z.infer<typeof databaseProperties>;

/** Everything in one database that a restore is compared with. Lists are sorted, so that two inventories compare as they are. */
export const databaseInventory = z.object({
  properties: databaseProperties,
  size_bytes: z.number(),
  server_version: z.string(),
  /** Roles that objects belong to or that have rights on them. */
  roles: z.array(z.string()),
  tables: z.array(
    named.extend({
      kind: z.enum(["table", "partitioned table", "foreign table"]),
      unlogged: z.boolean(),
      size_bytes: z.number(),
      estimated_rows: z.number(),
      /** From the dump itself; absent where the rows are not part of it. */
      rows: z.number().optional(),
    }),
  ),
  sequences: z.array(named.extend({ last_value: z.string().nullable(), is_called: z.boolean().optional() })),
  views: z.array(named),
  materialized_views: z.array(named),
  /** With the types of their arguments. */
  functions: z.array(named.extend({ arguments: z.string() })),
  triggers: z.array(onTable),
  event_triggers: z.array(z.string()),
  indexes: z.array(onTable),
  constraints: z.array(onTable),
  policies: z.array(onTable),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  large_objects: z.number(),
});

export type DatabaseInventory = z.infer<typeof databaseInventory>;

/** The inventory of a source, as it lies in the sealed index. */
export const sourceInventory = z.object({ databases: z.record(z.string(), databaseInventory) });

export type SourceInventory = z.infer<typeof sourceInventory>;

/** The lists of which every member must be found again after a restore, and how a report calls them. */
export const COMPARED_LISTS = [
  { list: "sequences", label: "sequences" },
  { list: "views", label: "views" },
  { list: "materialized_views", label: "materialized views" },
  { list: "functions", label: "functions" },
  { list: "triggers", label: "triggers" },
  { list: "event_triggers", label: "event triggers" },
  { list: "indexes", label: "indexes" },
  { list: "constraints", label: "constraints" },
  { list: "policies", label: "policies" },
  { list: "extensions", label: "extensions" },
] as const satisfies readonly { readonly list: keyof DatabaseInventory; readonly label: string }[];
