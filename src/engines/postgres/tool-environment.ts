import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import * as path from "node:path";
import type { Connection } from "./connection.ts";

/** What PostgreSQL's programs need beside their arguments; `remove` takes the password file away again. */
export interface ToolEnvironment {
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/** The password goes through a 0600 file: an argument is seen by every user of the host, the environment by every child. */
export async function createToolEnvironment(connection: Connection, directory: string): Promise<ToolEnvironment> {
  const env: Record<string, string> = {
    LC_ALL: "C",
    PGAPPNAME: "backupctl",
    PGSSLMODE: connection.sslmode,
    PGCONNECT_TIMEOUT: "30",
    ...(connection.sslrootcert === undefined ? {} : { PGSSLROOTCERT: connection.sslrootcert }),
  };
  if (connection.password === undefined) return { env, remove: async () => undefined };
  const file = path.join(directory, `pgpass-${randomBytes(6).toString("hex")}`);
  const password = connection.password.replace(/[\\:]/g, "\\$&");
  await writeFile(file, `*:*:*:*:${password}\n`, { mode: 0o600, flag: "wx" });
  // PGPASSWORD would win over the file; empty it counts as absent
  return { env: { ...env, PGPASSFILE: file, PGPASSWORD: "" }, remove: async () => await rm(file, { force: true }) };
}
