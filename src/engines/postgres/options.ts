import { z } from "zod";
import { TIMEOUT_PATTERN, TIMEOUT_RULE } from "../../domain/duration.ts";

const names = z.array(z.string().min(1)).min(1);

/** The options of a source with `engine: postgres`, as the configuration has them. */
export const options = z
  .object({
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, "must begin with postgres:// or postgresql://")
      .optional()
      .describe("Everything in one: postgres://user:password@host:port/database. Single options take precedence.")
      .meta({ secret: true, example: "postgres://backup:change-me@db.example.org:5432/app" }),
    host: z
      .string()
      .min(1)
      .optional()
      .describe("Host name, or the folder of the server's socket. Default localhost.")
      .meta({ example: "db.example.org" }),
    port: z.number().int().min(1).max(65_535).optional().describe("Default 5432.").meta({ example: 5432 }),
    user: z
      .string()
      .min(1)
      .optional()
      .describe("Default: the name of the user that runs backupctl.")
      .meta({ example: "backup" }),
    password: z
      .string()
      .min(1)
      .optional()
      .describe("Default: what ~/.pgpass says.")
      .meta({ secret: true, example: "change-me" }),
    sslmode: z
      .enum(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
      .optional()
      .describe("As PostgreSQL's own. Default prefer.")
      .meta({ example: "verify-full" }),
    sslrootcert: z
      .string()
      .min(1)
      .optional()
      .describe("Certificate file of the authority, for verify-ca and verify-full.")
      .meta({ path: true, example: "/etc/ssl/certs/database-ca.pem" }),
    database: z.string().min(1).optional().describe("The database to back up.").meta({ example: "app" }),
    databases: z
      .union([z.literal("all"), names])
      .optional()
      .describe("Several databases, or all that are not templates and accept connections.")
      .meta({ example: ["app", "shop"] }),
    tables: names
      .optional()
      .describe("Only these tables: pg_dump patterns, schema.table. With several databases database/schema.table.")
      .meta({ example: ["public.orders", "public.customers"] }),
    exclude_tables: names
      .optional()
      .describe("All but these tables (pg_dump patterns).")
      .meta({ example: ["public.old_*"] }),
    exclude_table_data: names
      .optional()
      .describe("The definition of these tables but not their rows (pg_dump patterns).")
      .meta({ example: ["public.sessions"] }),
    globals: z.boolean().default(true).describe("Roles, their memberships and tablespaces too."),
    maintenance_database: z
      .string()
      .min(1)
      .default("postgres")
      .describe("To connect to for what concerns no one database."),
    lock_wait_timeout: z
      .string()
      .regex(/^\d+(ms|s|min|h)?$/, "must be a number with ms, s, min or h, for example 30s")
      .optional()
      .describe("Give up when a table stays locked for so long. Default: wait.")
      .meta({ example: "30s" }),
    timeout: z
      .string()
      .regex(TIMEOUT_PATTERN, TIMEOUT_RULE)
      .default("24h")
      .describe("A pg_dump or pg_dumpall that runs longer is ended, and the source has failed."),
    bin_directory: z
      .string()
      .min(1)
      .optional()
      .describe("Where pg_dump, pg_restore and pg_dumpall are.")
      .meta({ path: true, example: "/usr/lib/postgresql/16/bin" }),
  })
  .refine((value) => value.database === undefined || value.databases === undefined, {
    message: "database and databases exclude each other",
    path: ["databases"],
  });

export type PostgresOptions = z.infer<typeof options>;
