import { z } from "zod";
import { messageOf } from "../../errors.ts";
import { statementsOf } from "./script-statements.ts";
import type { Session } from "./session.ts";

/**
 * Makes the roles, memberships and tablespaces that do not exist yet. What exists is kept as it is; what can't be made is
 * said in the warnings, which never repeat a statement, because some hold password hashes.
 */
export async function applyGlobals(session: Session, sql: string): Promise<readonly string[]> {
  const named = z.object({ name: z.string() });
  const roles = await session.rows(named, "select rolname::text as name from pg_catalog.pg_roles");
  const tablespaces = await session.rows(named, "select spcname::text as name from pg_catalog.pg_tablespace");
  const existing: Existing = {
    roles: new Set(roles.map((role) => role.name)),
    tablespaces: new Set(tablespaces.map((tablespace) => tablespace.name)),
  };
  const warnings: string[] = [];
  for (const statement of statementsOf(sql)) {
    if (concernsExisting(statement, existing)) continue;
    try {
      await session.execute(statement);
    } catch (error) {
      warnings.push(`${headOf(statement)} of the globals was left out: ${messageOf(error)}`);
    }
  }
  return warnings;
}

interface Existing {
  readonly roles: ReadonlySet<string>;
  readonly tablespaces: ReadonlySet<string>;
}

const NAME = String.raw`("(?:[^"]|"")+"|[^\s;"]+)`;
const ON_ROLE = new RegExp(`^(?:CREATE ROLE|ALTER ROLE|COMMENT ON ROLE|SECURITY LABEL .*ON ROLE) ${NAME}`, "is");
const MEMBERSHIP = new RegExp(`^GRANT ${NAME} TO ${NAME}`, "i");
const ON_TABLESPACE = new RegExp(`^(?:CREATE TABLESPACE|ALTER TABLESPACE|COMMENT ON TABLESPACE) ${NAME}`, "i");
const TABLESPACE_RIGHTS = new RegExp(`^(?:GRANT|REVOKE) .* ON TABLESPACE ${NAME}`, "i");

function concernsExisting(statement: string, { roles, tablespaces }: Existing): boolean {
  const role = nameIn(ON_ROLE, statement);
  if (role !== undefined) return roles.has(role);
  const tablespace = nameIn(ON_TABLESPACE, statement) ?? nameIn(TABLESPACE_RIGHTS, statement);
  if (tablespace !== undefined) return tablespaces.has(tablespace);
  const membership = MEMBERSHIP.exec(statement);
  if (membership === null) return false;
  return roles.has(unquoted(membership[1] ?? "")) && roles.has(unquoted(membership[2] ?? ""));
}

function nameIn(pattern: RegExp, statement: string): string | undefined {
  const name = pattern.exec(statement)?.[1];
  return name === undefined ? undefined : unquoted(name);
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** `CREATE ROLE app`: enough to know what is meant. */
function headOf(statement: string): string {
  return (
    [ON_ROLE, MEMBERSHIP, ON_TABLESPACE, TABLESPACE_RIGHTS]
      .map((pattern) => pattern.exec(statement)?.[0])
      .find(Boolean) ?? "a statement"
  );
}
