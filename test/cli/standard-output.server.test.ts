import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { cliEnvironment, LAUNCHER } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const run = promisify(execFile);
const ROWS = 60_000;

/** Statements as a dump has them: a table, and its rows to the end. */
function statements(): string {
  const rows = Array.from({ length: ROWS }, (_, id) => `${id}\t${randomBytes(24).toString("hex")}`);
  return `CREATE TABLE orders (id int, text text);\nCOPY orders FROM stdin;\n${rows.join("\n")}\n\\.\n`;
}

/** Changes a byte of the last block of the data. */
function damageEnd(site: CliSite): void {
  const repository = join(site.directory, "repository");
  const names = readdirSync(repository, { recursive: true, encoding: "utf8" });
  const pack =
    names
      .filter((name) => /\/shop\.[^/.]+\.zst\.enc\.\d{8}$/.test(name))
      .sort()
      .at(-1) ?? "";
  const bytes = readFileSync(join(repository, pack));
  bytes[bytes.length - 40] = (bytes.at(-40) ?? 0) ^ 1;
  writeFileSync(join(repository, pack), bytes);
}

describe.runIf(requireOrSkip("postgres"))("a restore to standard output, its end damaged,", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(async () => await server?.stop());

  /** As docs/restore.md has it. */
  async function restoreInto(database: string, site: CliSite): Promise<string> {
    await server.createDatabase(database);
    const psql = `${server.binDir}/psql -h ${server.host} -p ${server.port} -U ${server.user} -q -v ON_ERROR_STOP=1 ${database}`;
    const restore = `${LAUNCHER} restore latest --source shop --to - --config ${site.configFile}`;
    const env = cliEnvironment(site.directory);
    await run("sh", ["-c", `{ echo 'BEGIN;'; ${restore} && echo 'COMMIT;'; } | ${psql}`], { env });
    return server.sql(database, "select count(*) from pg_tables where tablename = 'orders'");
  }

  it("ends with 4 and the object's name, and nothing is committed of it where the commit comes after it", async () => {
    const directory = tempDir();
    writeFileSync(join(directory, "shop.sql"), statements());
    const site = await makeCliSite("  shop: {engine: command, command: [cat, '{dir}/shop.sql']}", directory);
    expect((await site.run("create")).exitCode).toBe(0);
    expect(await restoreInto("sound", site)).toBe("1");
    expect(await server.sql("sound", "select count(*) from orders")).toBe(String(ROWS));
    damageEnd(site);

    const { exitCode, stdout, stderr } = await site.run("restore", "latest", "--source", "shop", "--to", "-");

    expect(exitCode).toBe(4);
    expect(stdout).toContain("COPY orders");
    expect(stdout).not.toContain("\\.\n");
    expect(stderr).toMatch(/shop\.\S*\.zst\.enc\.0/);
    expect(await restoreInto("damaged", site)).toBe("0");
  });
});
