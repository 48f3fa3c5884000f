import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { startCli } from "../helpers/run-cli.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";

const SOURCES = `  www: {engine: files, paths: ["{dir}/www"]}
  slow: {engine: command, command: ["sh", "-c", "echo begin; while [ -e '{dir}/wait' ]; do sleep 0.05; done; echo end"]}`;
const created = z.object({ backup_id: z.string() });

/** What each command does while another process makes a backup. */
const COMMANDS: readonly (readonly [readonly string[], number])[] = [
  [["create"], 11],
  [["restore", "latest", "--source", "www", "--to", "{dir}/to", "--yes"], 11],
  [["delete", "{id}", "--force", "--reason", "test", "--yes"], 11],
  [["catalog", "rebuild"], 11],
  [["list"], 0],
  [["show", "latest"], 0],
  [["status"], 0],
  [["verify", "latest"], 0],
  [["download", "latest", "--source", "www", "--to", "{dir}/downloaded"], 0],
  [["hold", "latest", "--reason", "audit"], 0],
];

describe("while a process makes a backup", () => {
  const directory = suiteTempDir();
  let site: CliSite;
  let id: string;
  beforeAll(async () => {
    fs.mkdirSync(join(directory, "www"));
    fs.writeFileSync(join(directory, "www/file"), "content");
    site = await makeCliSite(SOURCES, directory);
    ({ backup_id: id } = await site.json(created, ["create"]));
  });

  it("another one waits for nothing: it does its work, or says who is at it, and harms neither", async () => {
    const wait = join(directory, "wait");
    fs.writeFileSync(wait, "");
    const first = startCli(["create", "--json", "--config", site.configFile], { home: directory });
    while (first.child.exitCode === null && !isRunning()) await sleep(50);

    const ended: (readonly [string | undefined, number | null])[] = [];
    for (const [args] of COMMANDS) {
      const given = args.map((arg) => arg.replace("{dir}", directory).replace("{id}", id));
      const { exitCode, stderr } = await site.run(...given);
      if (exitCode === 11) expect(stderr).toContain(`${first.child.pid}`);
      ended.push([args[0], exitCode]);
    }
    fs.rmSync(wait);
    const { exitCode, stderr } = await first.result;

    expect(ended).toEqual(COMMANDS.map(([args, status]) => [args[0], status]));
    expect(exitCode, stderr).toBe(0);
    expect(fs.existsSync(join(directory, "to"))).toBe(false);
    expect((await site.run("verify", "--all")).exitCode).toBe(0);
  });

  function isRunning(): boolean {
    const names = fs.readdirSync(join(directory, "state"), { recursive: true, encoding: "utf8" });
    return names.some((name) => name.endsWith("progress.json"));
  }
});

it("of several processes that begin at the same moment one makes a backup, and the others say so", async () => {
  const site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/www"]}`);
  fs.mkdirSync(join(site.directory, "www"));
  fs.writeFileSync(join(site.directory, "www/large"), Buffer.alloc(30_000_000, "content"));

  const results = await Promise.all(Array.from({ length: 4 }, () => site.run("create", "--mode", "full")));

  expect(new Set(results.map(({ exitCode }) => exitCode))).toEqual(new Set([0, 11]));
  expect((await site.run("verify", "--all")).exitCode).toBe(0);
  const list = await site.json(z.object({ backups: z.array(z.object({ status: z.string() })) }), ["list"]);
  const done = results.filter(({ exitCode }) => exitCode === 0);
  expect(list.backups.map(({ status }) => status)).toEqual(done.map(() => "completed"));
});
