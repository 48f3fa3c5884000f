import type { ConnectionOptions } from "node:tls";
import type { Client } from "pg";
import type { z } from "zod";
import { readOrdinaryFile } from "../../platform/files.ts";
import { addressOf, type Connection } from "./connection.ts";

/** One connection of our own to one database, beside the tools. */
export interface Session {
  /** All rows, parsed. */
  rows<Row>(schema: z.ZodType<Row>, text: string, values?: readonly unknown[]): Promise<Row[]>;
  execute(text: string): Promise<void>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 30_000;

/**
 * Connects, or throws what the server or the network said, with the address. An abort of `signal` ends the session, so that a
 * query under way fails at once.
 */
export async function openSession(connection: Connection, database: string, signal?: AbortSignal): Promise<Session> {
  signal?.throwIfAborted();
  const client = await connect(connection, database, signal);
  // an error between two queries would else end the process; the next query reports it
  client.on("error", () => undefined);
  const abort = () => void client.end().catch(() => undefined);
  const destroy = () => {
    client.connection.stream.destroy();
    abort();
  };
  signal?.addEventListener("abort", destroy, { once: true });
  const query = async (text: string, values: readonly unknown[] = []) => {
    try {
      // without values the simple protocol, which takes several statements
      return values.length === 0 ? await client.query(text) : await client.query(text, [...values]);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  };
  return {
    rows: async (schema, text, values) => schema.array().parse((await query(text, values)).rows),
    execute: async (text) => void (await query(text)),
    async close() {
      signal?.removeEventListener("abort", destroy);
      await client.end().catch(() => undefined);
    },
  };
}

async function connect(connection: Connection, database: string, signal: AbortSignal | undefined): Promise<Client> {
  const pg = await import("pg");
  const attempts = await sslAttempts(connection);
  for (const [index, ssl] of attempts.entries()) {
    const client = new pg.default.Client({
      host: connection.host,
      port: connection.port,
      user: connection.user,
      database,
      ssl,
      application_name: "backupctl",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      ...(connection.password === undefined ? {} : { password: connection.password }),
    });
    // A server that takes the connection and says nothing would be waited for until the timeout.
    const hangUp = () => client.connection.stream.destroy();
    signal?.addEventListener("abort", hangUp, { once: true });
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      signal?.throwIfAborted();
      if (index === attempts.length - 1 || !mayHelpToChangeEncryption(error)) throw unreachable(error, connection);
    } finally {
      signal?.removeEventListener("abort", hangUp);
    }
  }
  throw new Error("no way to connect was tried");
}

/** What libpq does for each sslmode, in its order. */
async function sslAttempts(connection: Connection): Promise<readonly (false | ConnectionOptions)[]> {
  if (connection.host.startsWith("/")) return [false];
  const unchecked = { rejectUnauthorized: false };
  const ca = connection.sslrootcert === undefined ? {} : { ca: await readOrdinaryFile(connection.sslrootcert) };
  switch (connection.sslmode) {
    case "disable":
      return [false];
    case "allow":
      return [false, unchecked];
    case "prefer":
      return [unchecked, false];
    case "require":
      return [unchecked];
    case "verify-ca":
      return [{ ...ca, checkServerIdentity: () => undefined }];
    case "verify-full":
      return [ca];
  }
}

function mayHelpToChangeEncryption(error: unknown): boolean {
  return codeOf(error) === "28000" || (error instanceof Error && /does not support SSL/i.test(error.message));
}

/** Node gives several addresses' failures together, without a message of their own. */
function unreachable(error: unknown, connection: Connection): Error {
  const reason = error instanceof AggregateError ? error.errors.map(String).join("; ") : reasonOf(error);
  return new Error(`can't connect to ${addressOf(connection)} as ${connection.user}: ${reason}`, { cause: error });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The SQLSTATE of a server's error, or the errno of a network's. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? `E${quoted}` : quoted;
}
