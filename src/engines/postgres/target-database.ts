import { z } from "zod";
import { messageOf } from "../../errors.ts";
import type { DatabaseInventory, DatabaseProperties } from "./inventory.ts";
import { quoteIdentifier, quoteLiteral, type Session } from "./session.ts";

/** The longest name that PostgreSQL keeps whole. */
const MAX_NAME_BYTES = 63;

/** A name beside `name` that says what it is, cut in front where it would be too long. */
export function nameBeside(name: string, purpose: "backupctl" | "replaced", token: string): string {
  const suffix = `__${purpose}_${token}`;
  let kept = name;
  while (Buffer.byteLength(kept + suffix) > MAX_NAME_BYTES) kept = [...kept].slice(0, -1).join("");
  return kept + suffix;
}

export async function databaseExists(session: Session, name: string): Promise<boolean> {
  const rows = await session.rows(z.object({}), "select from pg_catalog.pg_database where datname = $1", [name]);
  return rows.length > 0;
}

export async function serverMajor(session: Session): Promise<number> {
  const [row] = await session.rows(
    z.object({ version: z.number() }),
    "select current_setting('server_version_num')::int / 10000 as version",
  );
  return row?.version ?? 0;
}

/** Makes an empty database like the one that was backed up: text would sort and compare differently under other locales. */
export async function createDatabase(session: Session, name: string, properties?: DatabaseProperties): Promise<void> {
  const options = properties === undefined ? [] : localeOptions(properties, await serverMajor(session));
  await session.execute(`create database ${quoteIdentifier(name)} template template0 ${options.join(" ")}`);
}

function localeOptions(properties: DatabaseProperties, major: number): readonly string[] {
  const { encoding, collate, ctype, provider, locale, icu_rules: icuRules } = properties;
  const basic = [
    `encoding ${quoteLiteral(encoding)}`,
    `lc_collate ${quoteLiteral(collate)}`,
    `lc_ctype ${quoteLiteral(ctype)}`,
  ];
  if (major < 15) return basic;
  if (provider === "libc" || locale === null) return [...basic, "locale_provider libc"];
  const rules = icuRules === null ? [] : [`icu_rules ${quoteLiteral(icuRules)}`];
  return [...basic, `locale_provider ${provider}`, `${provider}_locale ${quoteLiteral(locale)}`, ...rules];
}

/** Removes a database with whoever is connected to it. */
export async function dropDatabase(session: Session, name: string): Promise<void> {
  await endSessions(session, name);
  const force = (await serverMajor(session)) >= 13 ? " with (force)" : "";
  await session.execute(`drop database if exists ${quoteIdentifier(name)}${force}`);
}

export async function endSessions(session: Session, database: string): Promise<void> {
  await session.rows(
    z.object({}),
    "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where datname = $1 and pid <> pg_catalog.pg_backend_pid()",
    [database],
  );
}

/**
 * Gives a restored database what belongs to the database itself: settings, rights, comment, owner. What the server refuses,
 * for example for a role that is not there, is returned as warnings: the data is whole without it.
 */
export async function applyProperties(
  session: Session,
  name: string,
  inventory: DatabaseInventory,
): Promise<readonly string[]> {
  const database = quoteIdentifier(name);
  const { properties } = inventory;
  const warnings: string[] = [];
  const attempt = async (what: string, statement: string) => {
    await session.execute(statement).catch((error: unknown) => {
      warnings.push(`${what} of database "${name}" was not set: ${messageOf(error)}`);
    });
  };
  for (const { role, setting } of properties.settings) {
    const whose = role === null ? `database ${database}` : `role ${quoteIdentifier(role)} in database ${database}`;
    for (const text of setting)
      await attempt(`the setting ${nameOfSetting(text)}`, `alter ${whose} set ${assignment(text)}`);
  }
  if (properties.comment !== null)
    await attempt("the comment", `comment on database ${database} is ${quoteLiteral(properties.comment)}`);
  if (properties.connection_limit >= 0) {
    await attempt("the connection limit", `alter database ${database} connection limit ${properties.connection_limit}`);
  }
  if (properties.tablespace !== "pg_default") {
    await attempt(
      "the tablespace",
      `alter database ${database} set tablespace ${quoteIdentifier(properties.tablespace)}`,
    );
  }
  await attempt("the owner", `alter database ${database} owner to ${quoteIdentifier(properties.owner)}`);
  for (const statement of rightsOn(database, properties)) await attempt("a right", statement);
  return warnings;
}

function rightsOn(database: string, { grants, owner }: DatabaseProperties): readonly string[] {
  if (grants === null) return [];
  const given = grants.map(({ grantee, privilege, grantable }) => {
    const to = grantee === null ? "public" : quoteIdentifier(grantee);
    return `grant ${privilege} on database ${database} to ${to}${grantable ? " with grant option" : ""}`;
  });
  return [`revoke all on database ${database} from public, ${quoteIdentifier(owner)}`, ...given];
}

function nameOfSetting(text: string): string {
  return text.slice(0, text.indexOf("="));
}

/** Settings that are lists of names are stored as SQL already; quoting them again would make one name of the list. */
const LISTS = [
  "search_path",
  "temp_tablespaces",
  "session_preload_libraries",
  "local_preload_libraries",
  "shared_preload_libraries",
  "unix_socket_directories",
];

function assignment(text: string): string {
  const name = nameOfSetting(text);
  const value = text.slice(name.length + 1);
  const quotedName = name.split(".").map(quoteIdentifier).join(".");
  return `${quotedName} to ${LISTS.includes(name.toLowerCase()) && value !== "" ? value : quoteLiteral(value)}`;
}
