import { BackupctlError } from "../../errors.ts";
import { currentUserName } from "../../platform/user-name.ts";
import type { PostgresOptions } from "./options.ts";

type SslMode = NonNullable<PostgresOptions["sslmode"]>;

/** Where a server is and who we are there. Never shown whole: it holds the password. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly sslmode: SslMode;
  readonly sslrootcert?: string;
}

/** The options with the parts of `url` as options of their own, which those given singly override. */
export function withoutUrl(options: PostgresOptions): PostgresOptions {
  const { url, ...single } = options;
  if (url === undefined) return single;
  const { database, ...place } = partsOf(url);
  const chosen = single.database !== undefined || single.databases !== undefined;
  return { ...place, ...(database === undefined || chosen ? {} : { database }), ...single };
}

type UrlParts = Partial<
  Pick<PostgresOptions, "host" | "port" | "user" | "password" | "database" | "sslmode" | "sslrootcert">
>;

function partsOf(text: string): UrlParts {
  // the URL itself stays out of the message: it may hold a password
  if (!URL.canParse(text))
    throw invalid(
      "the url of the database can't be read",
      "Encode special characters, for example @ in a password as %40.",
    );
  const url = new URL(text);
  const decoded = (part: string) => (part === "" ? undefined : decodeURIComponent(part));
  const sslmode = url.searchParams.get("sslmode");
  const parts = {
    host: url.searchParams.get("host") ?? decoded(url.hostname)?.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? undefined : Number(url.port),
    user: decoded(url.username),
    password: decoded(url.password),
    database: decoded(url.pathname.slice(1)),
    sslmode: sslmode === null ? undefined : sslModeOf(sslmode),
    sslrootcert: url.searchParams.get("sslrootcert") ?? undefined,
  };
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined));
}

const SSL_MODES: readonly SslMode[] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

function sslModeOf(text: string): SslMode {
  const mode = SSL_MODES.find((known) => known === text);
  if (mode === undefined)
    throw invalid(`sslmode=${text} in the url is unknown`, `Take one of ${SSL_MODES.join(", ")}.`);
  return mode;
}

function invalid(message: string, hint: string): BackupctlError {
  return new BackupctlError("CONFIG_INVALID", message, { hint });
}

/** `options` must have gone through `withoutUrl`. */
export function connectionOf(options: PostgresOptions): Connection {
  return {
    host: options.host ?? "localhost",
    port: options.port ?? 5432,
    user: options.user ?? currentUserName(),
    sslmode: options.sslmode ?? "prefer",
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.sslrootcert === undefined ? {} : { sslrootcert: options.sslrootcert }),
  };
}

/** `localhost:5432`, for people. */
export function addressOf(connection: Connection): string {
  const host = connection.host.includes(":") ? `[${connection.host}]` : connection.host;
  return `${host}:${connection.port}`;
}

/** `--dbname` takes a name with `=` in it for a connection string, so it is always given one, quoted. */
export function databaseArgument(database: string): string {
  return `--dbname=dbname='${database.replace(/[\\']/g, "\\$&")}'`;
}

export function connectionArguments(connection: Connection): readonly string[] {
  return [`--host=${connection.host}`, `--port=${connection.port}`, `--username=${connection.user}`, "--no-password"];
}
