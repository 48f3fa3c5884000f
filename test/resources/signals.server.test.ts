import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { noise } from "../helpers/bytes.ts";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { startCli } from "../helpers/run-cli.ts";
import { makeSlowDatabase } from "../helpers/slow-database.ts";
import { suiteTempDir, tempDir } from "../helpers/temp-dir.ts";

/** More of them where nobody waits: each has another moment. */
const ROUNDS = Number(process.env.BACKUPCTL_SIGNAL_ROUNDS ?? 3);
const SIGNALS = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const;
const created = z.object({ backup_id: z.string() });
const listed = z.object({ backups: z.array(z.object({ id: z.string(), status: z.string() })) });

describe("a signal at any moment", () => {
  const directory = suiteTempDir();
  let site: CliSite;
  beforeAll(async () => {
    const www = join(directory, "www");
    fs.mkdirSync(www);
    fs.writeFileSync(join(www, "large"), noise(48 * 1024 * 1024));
    for (let i = 0; i < 500; i++) fs.writeFileSync(join(www, `${i}`), `${i}`);
    site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/www"]}`, directory);
    await site.json(created, ["create"]);
    await measure(["create"]);
    await measure(["verify", "latest"]);
    await measure(["restore", "latest", "--to", join(directory, "whole"), "--yes"]);
    await measure(["download", "latest", "--to", join(directory, "whole.tar")]);
    await measure(["catalog", "rebuild"]);
    const { backup_id: id } = await site.json(created, ["create", "--mode", "full", "--manual"]);
    await measure(["delete", id, "--force", "--reason", "test", "--yes"]);
  });

  const run = (args: readonly string[]) =>
    startCli([...args, "--config", site.configFile], { home: directory, cwd: directory, timeoutMs: 30_000 });
  /** What each command takes when nobody interrupts it, in ms. */
  const durations = new Map<string, number>();
  const tried = new Set<string>();
  const inTime = new Set<string>();

  async function measure(args: readonly [string, ...string[]]): Promise<void> {
    const startedMs = performance.now();
    expect(await run(args).result).toMatchObject({ exitCode: 0 });
    durations.set(args[0], performance.now() - startedMs);
  }

  /** Sends the signal when that part of the command's usual time, in per cent, is over. */
  async function interrupted(args: readonly [string, ...string[]], signal: NodeJS.Signals, part: number) {
    tried.add(args[0]);
    const running = run(args);
    await sleep(((durations.get(args[0]) ?? 0) * part) / 100);
    running.child.kill(signal);
    const result = await running.result;
    expect(result.stderr).not.toContain("bug:");
    // Before it is there to hear the signal it dies of it, which a shell tells by the same status.
    const exitCode = result.exitCode ?? 128 + (result.signal === null ? 0 : constants.signals[result.signal]);
    if (exitCode !== 0) inTime.add(args[0]);
    return { exitCode, stderr: result.stderr };
  }

  afterAll(() => {
    // Otherwise nothing was shown. Some are done in a moment, which a busy machine may miss each time.
    const short = ["list", "show", "status", "hold", "unhold", "config", "init"];
    expect([...inTime, ...short]).toEqual(expect.arrayContaining([...tried]));
  });

  const parts = Array.from({ length: ROUNDS }, (_, i) => Math.round((100 * (i + 0.5)) / ROUNDS));
  const rounds = SIGNALS.flatMap(([signal, status]) => parts.map((part) => [signal, status, part] as const));

  it.each(rounds)(
    "%s (%i) after %i per cent of the time of create leaves the backups that there were",
    async (signal, status, part) => {
      const before = (await site.json(listed, ["list", "--status", "completed"])).backups;

      const result = await interrupted(["create"], signal, part);

      const after = (await site.json(listed, ["list", "--status", "completed"])).backups;
      expect([0, status]).toContain(result.exitCode);
      expect(after.length).toBe(result.exitCode === 0 ? before.length + 1 : before.length);
      const directories = fs.readdirSync(join(directory, "repository"), { recursive: true, encoding: "utf8" });
      expect(directories.filter((name) => /(full|incremental)-[\d-]+-[0-9a-f]{8}$/.test(name))).toHaveLength(
        after.length,
      );
    },
  );

  it.each(rounds)(
    "%s (%i) after %i per cent of the time of restore leaves all or nothing",
    async (signal, status, part) => {
      const around = fs.mkdtempSync(join(directory, "around-"));

      const result = await interrupted(["restore", "latest", "--to", join(around, "to"), "--yes"], signal, part);

      expect([0, status]).toContain(result.exitCode);
      expect(fs.readdirSync(around)).toEqual(result.exitCode === 0 ? ["to"] : []);
    },
  );

  it.each(rounds)(
    "%s (%i) after %i per cent of the time of download leaves all or nothing",
    async (signal, status, part) => {
      const around = fs.mkdtempSync(join(directory, "around-"));

      const result = await interrupted(["download", "latest", "--to", join(around, "to")], signal, part);

      expect([0, status], result.stderr).toContain(result.exitCode);
      expect(fs.readdirSync(around)).toEqual(result.exitCode === 0 ? ["to"] : []);
    },
  );

  it.each(rounds)(
    "%s (%i) after %i per cent of the time of verify says nothing wrong of the backup",
    async (signal, status, part) => {
      const result = await interrupted(["verify", "latest"], signal, part);

      expect([0, status], result.stderr).toContain(result.exitCode);
    },
  );

  it.each(rounds)(
    "%s (%i) after %i per cent of the time of a rebuild leaves the catalog old or new",
    async (signal, status, part) => {
      const ids = async () => (await site.json(listed, ["list", "--status", "completed"])).backups.map(({ id }) => id);
      const before = await ids();

      const result = await interrupted(["catalog", "rebuild"], signal, part);

      expect([0, status], result.stderr).toContain(result.exitCode);
      expect(await ids()).toEqual(before);
    },
  );

  it.each(rounds)(
    "%s (%i) after %i per cent of the time of delete leaves a backup that is whole, gone or to be deleted again",
    async (signal, status, part) => {
      const { backup_id: id } = await site.json(created, ["create", "--mode", "full", "--manual"]);
      const args = ["delete", id, "--force", "--reason", "test", "--yes"] as const;

      const result = await interrupted(args, signal, part);

      expect([0, status], result.stderr).toContain(result.exitCode);
      const again = await site.run(...args);
      expect([0, 10], again.stderr).toContain(again.exitCode);
      const directories = fs.readdirSync(join(directory, "repository"), { recursive: true, encoding: "utf8" });
      expect(directories.filter((name) => name.endsWith(id.slice(0, 8)))).toEqual([]);
    },
  );

  const others: readonly (readonly [string, ...string[]])[] = [
    ["list"],
    ["show", "latest"],
    ["status"],
    ["hold", "latest", "--reason", "audit"],
    ["unhold", "latest"],
    ["config", "validate"],
    ["init"],
    ["verify", "latest", "--deep"],
    ["restore", "latest", "--overwrite", "--yes"],
  ];

  it.each(others.map((args) => [args] as const))(
    "SIGINT or SIGTERM in %j ends it, and nothing is harmed",
    async (args) => {
      const www = fs.readdirSync(join(directory, "www")).sort();
      const hold = ["hold", "latest", "--reason", "to be let go"];
      if (args[0] === "unhold") await site.run(...hold);
      await measure(args);

      for (const [signal, status, part] of rounds) {
        if (args[0] === "unhold") await site.run(...hold);
        const result = await interrupted(args, signal, part);

        expect([0, status], result.stderr).toContain(result.exitCode);
      }
      expect(fs.readdirSync(join(directory, "www")).sort()).toEqual(www);
      expect(fs.readdirSync(directory).filter((name) => name.startsWith(".www"))).toEqual([]);
      expect((await site.run("verify", "latest")).exitCode).toBe(0);
    },
  );
});

it.each(SIGNALS)(
  "%s (%i) while SQLite checks a database ends a backup, and nothing is left",
  async (signal, status) => {
    const directory = tempDir();
    makeSlowDatabase(join(directory, "slow.db"));
    const site = await makeCliSite(`  shop: {engine: sqlite, path: "{dir}/slow.db"}`, directory);
    const copies = () =>
      fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("shop.sqlite"));
    // The check would take longer.
    const options = { home: directory, cwd: directory, timeoutMs: 30_000 };
    const running = startCli(["create", "--config", site.configFile], options);
    while (copies().length === 0 && running.child.exitCode === null) await sleep(50);
    await sleep(2_000);

    running.child.kill(signal);

    expect(await running.result).toMatchObject({ exitCode: status, signal: null });
    expect(copies()).toEqual([]);
    expect((await site.json(listed, ["list", "--status", "completed"])).backups).toEqual([]);
  },
);

it.each(SIGNALS)("%s (%i), given twice, ends it at once, whatever it waits for", async (signal) => {
  const directory = tempDir();
  const config = join(directory, "config.yaml");
  execFileSync("mkfifo", [config]);
  const running = startCli(["list", "--config", config], { home: directory, cwd: directory, timeoutMs: 30_000 });
  let said = "";
  running.child.stderr?.on("data", (data: Buffer) => {
    said += data.toString();
  });
  // Nobody ever writes into the pipe, and a thread that waits in the kernel can't be called off.
  await sleep(2_000);
  running.child.kill(signal);
  while (!said.includes("once more") && running.child.signalCode === null) await sleep(50);

  running.child.kill(signal);

  expect(await running.result).toMatchObject({ exitCode: null, signal });
  expect(said).toContain("once more");
});
