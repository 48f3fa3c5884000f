import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const created = z.object({
  backup_id: z.string(),
  mode: z.string(),
  sources: z.array(z.object({ name: z.string(), new_bytes: z.number(), size_bytes: z.number() })),
});

describe.runIf(requireOrSkip("postgres"))("the main job on PostgreSQL", () => {
  const directory = suiteTempDir();
  let server: PostgresServer;
  let site: CliSite;
  let full: z.infer<typeof created>;

  beforeAll(async () => {
    server = await startPostgres();
    await server.createDatabase("bench");
    await server.createDatabase("kinds");
    execFileSync(
      join(server.binDir, "pgbench"),
      ["-i", "-s", "3", "-q", "-h", server.host, "-p", String(server.port), "-U", server.user, "bench"],
      { stdio: "ignore" },
    );
    await server.sql("kinds", readFileSync("test/fixtures/postgres/every-kind.sql", "utf8"));
    site = await makeCliSite(
      `  app: {engine: postgres, host: ${server.host}, port: ${server.port}, user: ${server.user}, databases: [bench, kinds]}`,
      directory,
    );
  }, 120_000);

  afterAll(async () => {
    await server?.stop();
  });

  function dumpOf(database: string): string {
    return execFileSync(
      join(server.binDir, "pg_dump"),
      ["-h", server.host, "-p", String(server.port), "-U", server.user, database],
      { encoding: "utf8", maxBuffer: 1024 ** 3 },
    ).replaceAll(/^\\(un)?restrict .*$/gm, "");
  }

  it("is refused without its tools under their own code, and stores nothing", async () => {
    const toolless = await makeCliSite(
      `  app: {engine: postgres, host: ${server.host}, port: ${server.port}, user: ${server.user}, bin_directory: /no/such}`,
      join(directory, "toolless"),
    );

    const { exitCode, stderr } = await toolless.run("create");

    expect(exitCode).toBe(1);
    expect(stderr).toContain("error: TOOL_MISSING: pg_dump was not found at /no/such/pg_dump");
    expect(stderr).toContain("apt install postgresql-client");
  });

  it("is a failed source when its dump hangs: it ends with its timeout, and says what the tool said last", async () => {
    const bin = join(directory, "bin");
    mkdirSync(bin);
    for (const name of readdirSync(server.binDir)) symlinkSync(join(server.binDir, name), join(bin, name));
    rmSync(join(bin, "pg_dump"));
    const hanging = `[ "$1" = --version ] && exec ${server.binDir}/pg_dump --version\necho "pg_dump: waiting" >&2\nexec sleep 600\n`;
    writeFileSync(join(bin, "pg_dump"), `#!/bin/sh\n${hanging}`, { mode: 0o755 });
    const stuck = await makeCliSite(
      `  app: {engine: postgres, host: ${server.host}, port: ${server.port}, user: ${server.user}, database: kinds, bin_directory: ${bin}, timeout: 2s}`,
      join(directory, "stuck"),
    );

    const { exitCode, stderr } = await stuck.run("create");

    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^error: SOURCE_FAILED: .*pg_dump was ended because it took too long: pg_dump: waiting$/m);
    expect(stderr).toContain("`timeout`");
    expect(readdirSync(join(stuck.directory, "repository"))).not.toContain("full");
  });

  it("is backed up in full", async () => {
    full = await site.json(created, ["create", "--type", "full"]);

    expect(full.mode).toBe("full");
    expect(full.sources[0]?.new_bytes).toBeGreaterThan(20_000_000);
  });

  it("stores what changed, not the whole, in an incremental and a differential", async () => {
    await server.sql("bench", "update pgbench_accounts set abalance = 7 where aid between 1000 and 1100");

    const incremental = await site.json(created, ["create", "--type", "full", "--mode", "incremental"]);
    const unchanged = await site.json(created, ["create", "--type", "full", "--mode", "incremental"]);
    const differential = await site.json(created, ["create", "--type", "full", "--mode", "differential"]);

    expect(incremental.sources[0]?.new_bytes).toBeLessThan(2_000_000);
    expect(unchanged.sources[0]?.new_bytes).toBe(0);
    expect(differential.sources[0]?.new_bytes).toBe(incremental.sources[0]?.new_bytes);
  });

  it("verifies deeply: restored to a scratch database and compared", async () => {
    const verified = await site.json(
      z.object({ backups: z.array(z.object({ checks_performed: z.record(z.string(), z.string()) })) }),
      ["verify", "latest", "--deep"],
    );

    expect(verified.backups[0]?.checks_performed).toMatchObject({
      restore_comparison: "passed",
      file_integrity: "passed",
    });
  });

  it("is restored into a database of a new name, equal by pg_dump and row by row", async () => {
    const before = dumpOf("kinds");

    const result = await site.run(
      "restore",
      "latest",
      "--source",
      "app",
      "--include",
      "kinds",
      "--to",
      "kinds_again",
      "--yes",
    );

    expect(result).toMatchObject({ exitCode: 0 });
    expect(dumpOf("kinds_again").replaceAll("kinds_again", "kinds")).toBe(before);
    expect(await server.sql("kinds_again", "select current_database()")).toContain("kinds_again");
  }, 120_000);

  it("refuses a database that exists, and swaps it with --drop-existing", async () => {
    const rows = await server.sql("bench", "select * from pgbench_accounts order by aid");
    await server.sql("bench", "delete from pgbench_accounts where aid > 500");

    const refused = await site.run("restore", "latest", "--include", "bench", "--yes");
    const swapped = await site.run("restore", "latest", "--include", "bench", "--drop-existing", "--yes");

    expect(refused).toMatchObject({ exitCode: 2 });
    expect(refused.stderr).toContain("--drop-existing");
    expect(swapped).toMatchObject({ exitCode: 0 });
    expect(await server.sql("bench", "select * from pgbench_accounts order by aid")).toBe(rows);
  }, 120_000);

  it("never takes a backup of chosen tables for the whole database", async () => {
    const narrowed = await site.json(created, ["create", "--table", "bench/public.pgbench_branches"]);

    const latest = await site.run("restore", "--latest", "--include", "bench", "--to", "bench_whole", "--yes");
    const named = await site.run("restore", narrowed.backup_id, "--include", "bench", "--to", "bench_part", "--yes");
    const shown = await site.run("show", narrowed.backup_id);

    expect(latest).toMatchObject({ exitCode: 0 });
    expect(await server.sql("bench_whole", "select count(*) from pgbench_accounts")).toContain("300000");
    expect(named).toMatchObject({ exitCode: 0 });
    expect(`${named.stdout}${named.stderr}`).toContain("holds only the tables that --table named");
    expect(shown.stdout).toContain("only the tables that --table named");
  }, 120_000);
});
