import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { runCli, startCli } from "../helpers/run-cli.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";

const errorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string(), exit_code: z.number() }),
});
const created = z.object({ backup_id: z.string() });

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly code: string;
  readonly exit: number;
  /** The object that the message must name. */
  readonly names: string;
  readonly hint: RegExp;
}

const SOURCES = `  www: {engine: files, paths: ["{dir}/www"], category: media}
  settings: {engine: command, command: ["cat", "{dir}/settings"]}`;

describe("each expected failure has a code, an exit status, an object and a hint", () => {
  const directory = suiteTempDir();
  let site: CliSite;
  let id: string;

  beforeAll(async () => {
    mkdirSync(join(directory, "www"));
    writeFileSync(join(directory, "www/index.html"), "hello");
    writeFileSync(join(directory, "settings"), "a=1");
    site = await makeCliSite(SOURCES, directory);
    id = (await site.json(created, ["create"])).backup_id;
    await site.json(created, ["create", "--mode", "incremental"]);
  });

  /** Runs twice: for people and with --json, which must say the same. */
  async function expectFailure({ args, code, exit, names, hint }: Case, run: CliSite["run"] = site.run): Promise<void> {
    const plain = await run(...args);
    const json = await run(...args, "--json");

    expect(plain.exitCode, plain.stderr).toBe(exit);
    expect(plain.stderr).toContain(`error: ${code}: `);
    expect(plain.stderr).toContain(names);
    expect(plain.stderr).toMatch(hint);
    expect(json.exitCode).toBe(exit);
    expect(json.stdout).toBe("");
    const { error } = errorSchema.parse(JSON.parse(json.stderr.split("\n").find((line) => line.startsWith("{")) ?? ""));
    expect(error).toMatchObject({ code, exit_code: exit });
    expect(error.message).toContain(names);
    expect(error.hint).toMatch(hint);
  }

  const USAGE: readonly Omit<Case, "name">[] = [
    { args: ["show", "ffffffff"], code: "BACKUP_NOT_FOUND", exit: 10, names: "ffffffff", hint: /backupctl list/ },
    { args: ["restore", "ffffffff", "--to", "x"], code: "BACKUP_NOT_FOUND", exit: 10, names: "ffffffff", hint: /list/ },
    {
      args: ["create", "--type", "everything"],
      code: "INVALID_BACKUP_TYPE",
      exit: 2,
      names: "everything",
      hint: /full/,
    },
    {
      args: ["create", "--type", "transaction"],
      code: "INVALID_BACKUP_TYPE",
      exit: 2,
      names: "transaction",
      hint: /incremental/,
    },
    {
      args: ["create", "--mode", "sideways"],
      code: "INVALID_BACKUP_TYPE",
      exit: 2,
      names: "sideways",
      hint: /incremental/,
    },
    { args: ["create", "--type", "database"], code: "COMPONENT_NOT_FOUND", exit: 2, names: "database", hint: /files/ },
    {
      args: ["create", "--component", "user_data"],
      code: "COMPONENT_NOT_FOUND",
      exit: 2,
      names: "user_data",
      hint: /files/,
    },
    {
      args: ["create", "--category", "invoices"],
      code: "COMPONENT_NOT_FOUND",
      exit: 2,
      names: "invoices",
      hint: /media/,
    },
    { args: ["create", "--source", "wwww"], code: "SOURCE_NOT_FOUND", exit: 2, names: "wwww", hint: /www/ },
    { args: ["create", "--class", "hourly"], code: "USAGE", exit: 2, names: "hourly", hint: /daily/ },
    { args: ["create", "--storage", "moon"], code: "STORAGE_NOT_FOUND", exit: 2, names: "moon", hint: /local/ },
    { args: ["create", "--retention-days", "-3"], code: "USAGE", exit: 2, names: "-3", hint: /./ },
    { args: ["create", "--compression-level", "20"], code: "USAGE", exit: 2, names: "20", hint: /1 to 19 for zstd/ },
    {
      args: ["create", "--compression-level", "3", "--no-compress"],
      code: "USAGE",
      exit: 2,
      names: "--no-compress",
      hint: /Leave one of them out/,
    },
    {
      args: ["create", "--table", "t"],
      code: "COMPONENT_NOT_FOUND",
      exit: 2,
      names: "--table",
      hint: /Leave out --table/,
    },
    { args: ["list", "--limit", "0"], code: "USAGE", exit: 2, names: "0", hint: /./ },
    {
      args: ["list", "--from", "2026-02-01", "--to", "2026-01-01"],
      code: "USAGE",
      exit: 2,
      names: "2026-02-01",
      hint: /./,
    },
    { args: ["list", "--status", "sleeping"], code: "USAGE", exit: 2, names: "sleeping", hint: /completed/ },
    { args: ["list", "--limmit", "5"], code: "USAGE", exit: 2, names: "--limmit", hint: /--limit/ },
    {
      args: ["restore", "--timestamp", "2026-01-11T10:30:00", "--to", "x"],
      code: "USAGE",
      exit: 2,
      names: "2026-01-11T10:30:00",
      hint: /Z|zone/,
    },
    {
      args: ["restore", "--timestamp", "2001-01-01T00:00:00Z", "--to", "x"],
      code: "BACKUP_NOT_FOUND",
      exit: 10,
      names: "2001-01-01",
      hint: /./,
    },
    { args: ["restore", "latest", "--target", "mars"], code: "TARGET_NOT_FOUND", exit: 2, names: "mars", hint: /./ },
    {
      args: ["restore", "latest", "--source", "www", "--overwrite"],
      code: "NOT_CONFIRMED",
      exit: 2,
      names: "restore",
      hint: /--yes/,
    },
  ];

  it.each(USAGE.map((row) => ({ ...row, name: row.args.join(" ") })))("$name → $code ($exit)", async (row) => {
    await expectFailure(row);
  });

  it("an ambiguous prefix lists what it could mean", async () => {
    const all = z.object({ backups: z.array(z.object({ id: z.string() })) });
    const ids = (await site.json(all, ["list"])).backups.map((backup) => backup.id);
    const result = await site.run("show", "");

    expect(ids.length).toBe(2);
    expect(result.exitCode).toBe(2);
  });

  it("delete of what another backup needs, or retention keeps → RETENTION_POLICY_VIOLATION (14)", async () => {
    await expectFailure({
      name: "",
      args: ["delete", id, "--yes"],
      code: "RETENTION_POLICY_VIOLATION",
      exit: 14,
      names: id,
      hint: /--with-descendants/,
    });
    await expectFailure({
      name: "",
      args: ["delete", id, "--force", "--reason", "space", "--yes"],
      code: "RETENTION_POLICY_VIOLATION",
      exit: 14,
      names: id,
      hint: /--with-descendants/,
    });
    await expectFailure({
      name: "",
      args: ["delete", "latest", "--yes"],
      code: "RETENTION_POLICY_VIOLATION",
      exit: 14,
      names: "retention",
      hint: /--force/,
    });
  });

  it("a folder that is not empty → TARGET_NOT_EMPTY (2), and it stays as it was", async () => {
    const to = join(directory, "occupied");
    mkdirSync(join(to, "www"), { recursive: true });
    writeFileSync(join(to, "mine.txt"), "mine");

    await expectFailure({
      name: "",
      args: ["restore", "latest", "--source", "www", "--to", to, "--yes"],
      code: "TARGET_NOT_EMPTY",
      exit: 2,
      names: to,
      hint: /--overwrite/,
    });

    expect(readdirSync(to).sort()).toEqual(["mine.txt", "www"]);
  });

  it("without any configuration every command says how to get one", async () => {
    const empty = join(directory, "empty-home");
    mkdirSync(empty);
    for (const args of [
      ["create"],
      ["list"],
      ["show", "latest"],
      ["status"],
      ["verify", "latest"],
      ["restore", "latest", "--to", "x"],
      ["delete", "latest", "--yes"],
      ["download", "latest", "--to", "x"],
    ]) {
      await expectFailure(
        { name: "", args, code: "CONFIG_NOT_FOUND", exit: 2, names: "configuration", hint: /backupctl init/ },
        (...more) => runCli(more, { home: empty, cwd: empty }),
      );
    }
  });

  it("a storage without a repository → REPOSITORY_NOT_INITIALIZED (2)", async () => {
    const fresh = join(directory, "fresh");
    const other = await makeCliSite(SOURCES, fresh);
    rmSync(join(fresh, "repository/backupctl.json"));

    await expectFailure(
      {
        name: "",
        args: ["create"],
        code: "REPOSITORY_NOT_INITIALIZED",
        exit: 2,
        names: "local",
        hint: /backupctl init/,
      },
      other.run,
    );
    rmSync(join(fresh, "repository"), { recursive: true });
    await expectFailure(
      { name: "", args: ["create"], code: "STORAGE_NOT_FOUND", exit: 1, names: "repository", hint: /backupctl init/ },
      other.run,
    );
  });

  it("a wrong or missing key → ENCRYPTION_KEY_NOT_FOUND (12), and nothing is written", async () => {
    const key = readFileSync(join(directory, "main.key"));
    const to = join(directory, "never");
    try {
      writeFileSync(join(directory, "main.key"), randomBytes(32).toString("hex"));
      await expectFailure({
        name: "",
        args: ["restore", "latest", "--to", to, "--yes"],
        code: "ENCRYPTION_KEY_NOT_FOUND",
        exit: 12,
        names: "main",
        hint: /encryption.keys|key/,
      });
      rmSync(join(directory, "main.key"));
      await expectFailure({
        name: "",
        args: ["restore", "latest", "--to", to, "--yes"],
        code: "ENCRYPTION_KEY_NOT_FOUND",
        exit: 12,
        names: "main.key",
        hint: /./,
      });
      await expectFailure({
        name: "",
        args: ["create"],
        code: "ENCRYPTION_KEY_NOT_FOUND",
        exit: 12,
        names: "main.key",
        hint: /./,
      });
    } finally {
      writeFileSync(join(directory, "main.key"), key, { mode: 0o600 });
    }
    expect(existsSync(to)).toBe(false);
  });

  it("damaged packs → verify and restore exit 4 with BACKUP_CORRUPTED, and nothing is written", async () => {
    const damaged = await makeCliSite(SOURCES, join(directory, "damaged"));
    mkdirSync(join(damaged.directory, "www"));
    writeFileSync(join(damaged.directory, "www/index.html"), randomBytes(100_000));
    writeFileSync(join(damaged.directory, "settings"), "a=1");
    const { backup_id } = await damaged.json(created, ["create"]);
    const repository = join(damaged.directory, "repository");
    const pack =
      readdirSync(repository, { recursive: true, encoding: "utf8" }).find((name) =>
        /www\.tree\.zst\.enc\.0+$/.test(name),
      ) ?? "";
    const bytes = readFileSync(join(repository, pack));
    bytes[5000] = (bytes[5000] ?? 0) ^ 1;
    writeFileSync(join(repository, pack), bytes);
    const to = join(damaged.directory, "never");

    const verified = await damaged.run("verify", "latest", "--json");
    expect(verified.exitCode).toBe(4);
    expect(verified.stdout).toContain("www.tree.zst.enc.00000000");
    await expectFailure(
      {
        name: "",
        args: ["restore", backup_id, "--to", to, "--yes"],
        code: "BACKUP_CORRUPTED",
        exit: 4,
        names: "www.tree.zst.enc.00000000",
        hint: /./,
      },
      damaged.run,
    );
    expect(existsSync(to)).toBe(false);
  });

  it("a source that fails alone → SOURCE_FAILED (1); one of two → exit 3 with the sound one stored", async () => {
    const broken = await makeCliSite(
      `  www: {engine: files, paths: ["{dir}/www"]}\n  export: {engine: command, command: ["false"]}\n  nothing: {engine: command, command: ["true"]}`,
      join(directory, "broken"),
    );
    mkdirSync(join(broken.directory, "www"));

    await expectFailure(
      { name: "", args: ["create", "--source", "export"], code: "SOURCE_FAILED", exit: 1, names: "export", hint: /./ },
      broken.run,
    );
    await expectFailure(
      {
        name: "",
        args: ["create", "--source", "nothing"],
        code: "SOURCE_FAILED",
        exit: 1,
        names: "nothing",
        hint: /allow_empty/,
      },
      broken.run,
    );
    const partial = await broken.run("create", "--json");
    expect(partial.exitCode).toBe(3);
    expect(partial.json()).toMatchObject({ status: "partial" });
  });

  it("an empty source list → CONFIG_INVALID (2) for create, and list still works", async () => {
    const none = await makeCliSite("  {}", join(directory, "none"));

    await expectFailure(
      { name: "", args: ["create"], code: "CONFIG_INVALID", exit: 2, names: "source", hint: /sources/ },
      none.run,
    );
    expect((await none.run("list")).exitCode).toBe(0);
  });

  it("a second run at the same time → BACKUP_IN_PROGRESS (11), naming who holds the lock", async () => {
    const slow = await makeCliSite(
      `  slow: {engine: command, command: ["sh", "-c", "echo begin; for i in $(seq 600); do [ -e '{dir}/go' ] && break; sleep 0.1; done; echo end"]}`,
      join(directory, "slow"),
    );
    const first = startCli(["create", "--config", slow.configFile], { home: slow.directory, cwd: slow.directory });
    await waitUntil(
      () =>
        existsSync(join(slow.directory, "state")) &&
        readdirSync(join(slow.directory, "state"), { recursive: true, encoding: "utf8" }).some((name) =>
          name.endsWith("progress.json"),
        ),
    );

    await expectFailure(
      {
        name: "",
        args: ["create"],
        code: "BACKUP_IN_PROGRESS",
        exit: 11,
        names: `${first.child.pid}`,
        hint: /--lock-wait/,
      },
      slow.run,
    );
    const status = await slow.run("status", "--json");
    expect(status.json()).toMatchObject({ status: "running", current_phase: "slow_backup" });
    writeFileSync(join(slow.directory, "go"), "");
    expect((await first.result).exitCode).toBe(0);
  });

  it("an unwritable storage → STORAGE_FAILED (1)", async () => {
    if (process.getuid?.() === 0) return;
    const repository = join(directory, "repository");
    chmodSync(repository, 0o500);
    try {
      await expectFailure({
        name: "",
        args: ["create"],
        code: "STORAGE_FAILED",
        exit: 1,
        names: "repository",
        hint: /./,
      });
    } finally {
      chmodSync(repository, 0o700);
    }
  });
});

async function waitUntil(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(holds()).toBe(true);
}
