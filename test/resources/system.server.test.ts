import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { noise } from "../helpers/bytes.ts";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { LAUNCHER, startCli } from "../helpers/run-cli.ts";
import { requireOrSkip } from "../servers/requirements.ts";

async function makeWww(): Promise<CliSite> {
  const site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/www"]}
  export: {engine: command, command: [cat, "{dir}/www/large"]}`);
  fs.mkdirSync(join(site.directory, "www"));
  fs.writeFileSync(join(site.directory, "www/large"), noise(8 * 1024 * 1024));
  fs.writeFileSync(join(site.directory, "www/small"), "small");
  return site;
}

/** The program under another one. */
function under(site: CliSite, wrapper: readonly string[], args: readonly string[]) {
  const [command = "", ...before] = wrapper;
  const all = [...before, LAUNCHER, ...args, "--config", site.configFile];
  return spawnSync(command, all, { encoding: "utf8", cwd: site.directory, timeout: 60_000, killSignal: "SIGKILL" });
}

describe.runIf(requireOrSkip("root", "strace"))("a disk that fails in the middle of a file", () => {
  it("leaves out this file, names it, and exits with 3", async () => {
    const site = await makeWww();
    const large = join(site.directory, "www/large");
    const fault = ["-e", "trace=read,pread64", "-e", "inject=read,pread64:error=EIO:when=2+"];

    const result = under(
      site,
      ["strace", "-f", "-qq", "-o", "/dev/null", "-P", large, ...fault],
      ["create", "--source", "www"],
    );

    expect(result.status, result.stderr).toBe(3);
    expect(result.stderr).toContain(`source "www" could not read ${large} (EIO)`);
    expect((await site.run("verify", "latest")).exitCode).toBe(0);
    const to = join(site.directory, "to");
    expect((await site.run("restore", "latest", "--to", to)).exitCode).toBe(0);
    const restored = fs.readdirSync(to, { recursive: true, encoding: "utf8" });
    expect(restored.some((name) => name.endsWith("www/small"))).toBe(true);
    expect(restored.some((name) => name.endsWith("www/large"))).toBe(false);
  });
});

describe.runIf(requireOrSkip("root", "strace", "sqlite3"))("a disk that fails in the middle of a database", () => {
  it("fails that source, names it, and exits with 3", async () => {
    const site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/www"]}
  app: {engine: sqlite, path: "{dir}/app.db"}`);
    fs.mkdirSync(join(site.directory, "www"));
    const rows =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT randomblob(500) FROM n";
    execFileSync("sqlite3", [join(site.directory, "app.db"), `CREATE TABLE t (b); INSERT INTO t ${rows}`]);
    const fault = [
      "-P",
      join(site.directory, "app.db"),
      "-e",
      "trace=pread64",
      "-e",
      "inject=pread64:error=EIO:when=50+",
    ];

    const result = under(site, ["strace", "-f", "-qq", "-o", "/dev/null", ...fault], ["create"]);

    expect(result.status, result.stderr).toBe(3);
    expect(result.stdout + result.stderr).toMatch(/"app".*I\/O error/);
    expect((await site.run("verify", "latest")).exitCode).toBe(0);
  });
});

describe.runIf(requireOrSkip("root", "strace"))("a storage whose disk fails in the middle of a pack", () => {
  it("is named by whoever reads it, and nothing is written", async () => {
    const site = await makeWww();
    await site.run("create");
    const packs = namesBelow(join(site.directory, "repository")).filter((name) =>
      /www\.tree\.zst\.enc\.\d{8}$/.test(name),
    );
    const pack = join(site.directory, "repository", packs[0] ?? "");
    const around = join(site.directory, "around");
    fs.mkdirSync(around);
    const fault = ["-P", pack, "-e", "trace=read,pread64", "-e", "inject=read,pread64:error=EIO"];

    for (const args of [
      ["verify", "latest"],
      ["restore", "latest", "--source", "www", "--to", join(around, "to"), "--yes"],
      ["download", "latest", "--source", "www", "--to", join(around, "to")],
    ]) {
      const { status, stdout, stderr } = under(site, ["strace", "-f", "-qq", "-o", "/dev/null", ...fault], args);

      expect([1, 4], stderr).toContain(status);
      expect(stdout + stderr).toContain(pack.slice(pack.lastIndexOf("/") + 1));
      expect(stdout + stderr).toContain("EIO");
      expect(stderr).not.toContain("bug:");
      expect(fs.readdirSync(around)).toEqual([]);
    }
    expect((await site.run("verify", "latest")).exitCode).toBe(0);
  });
});

describe("a source that vanishes while it is backed up", () => {
  it.each([150, 350])("(after %i ms) leaves a backup that is sound, or none", async (moment) => {
    const site = await makeWww();
    for (let i = 0; i < 2000; i++) fs.writeFileSync(join(site.directory, "www", `${i}`), `${i}`);
    const running = startCli(["create", "--source", "www", "--config", site.configFile], { home: site.directory });
    await sleep(moment);
    fs.renameSync(join(site.directory, "www"), join(site.directory, "gone"));
    fs.rmSync(join(site.directory, "gone"), { recursive: true });

    const { exitCode, stderr } = await running.result;

    expect([0, 1, 3], stderr).toContain(exitCode);
    expect(stderr).not.toContain("bug:");
    if (exitCode === 1) expect(stderr).toMatch(/error: SOURCE_FAILED: .*"www"/);
    else expect((await site.run("verify", "latest", "--deep")).exitCode).toBe(0);
  });
});

/** From where the program just starts to where it has enough. Fewer are too few for Node itself. */
describe("a process that may open no more files", () => {
  const upTo = (most: number) => ["prlimit", `--nofile=${most}`];

  it.each([28, 34, 40, 46])("with %i of them ends in words, or with a backup that is sound", async (most) => {
    const site = await makeWww();

    const { status, signal, stderr } = under(site, upTo(most), ["create"]);

    expect(signal).toBeNull();
    expect(stderr).not.toContain("bug:");
    expect([0, 1, 3], stderr).toContain(status);
    if (status === 1) expect(stderr).toMatch(/error: [A-Z_]+: /);
    else expect((await site.run("verify", "latest")).exitCode).toBe(0);
  });

  it.each([34, 42])("with %i of them ends whatever else it does in words, or does it", async (most) => {
    const site = await makeWww();
    await site.run("create");
    const around = join(site.directory, "around");
    fs.mkdirSync(around);
    const where = ["latest", "--source", "www", "--to", join(around, "to")];

    for (const args of [
      ["verify", "latest"],
      ["restore", ...where, "--yes"],
      ["download", ...where],
      ["catalog", "rebuild"],
      ["delete", "latest", "--force", "--reason", "test", "--yes"],
    ]) {
      const { status, signal, stderr } = under(site, upTo(most), args);

      expect(signal).toBeNull();
      expect(stderr).not.toContain("bug:");
      expect([0, 1], `${args[0]}: ${stderr}`).toContain(status);
      if (status === 1) expect(stderr).toMatch(/error: [A-Z_]+: /);
      const isThere = status === 0 && args.includes("--to");
      // To remove its private folder takes a file as well: what is left of it, the next run removes.
      expect(fs.readdirSync(around).filter((name) => !name.startsWith("."))).toEqual(isThere ? ["to"] : []);
      fs.rmSync(join(around, "to"), { recursive: true, force: true });
      if (args[0] !== "delete") expect((await site.run(...args)).exitCode, args[0]).toBe(0);
      expect(fs.readdirSync(around)).toEqual(args.includes("--to") ? ["to"] : []);
      fs.rmSync(join(around, "to"), { recursive: true, force: true });
    }
  });
});

function namesBelow(folder: string): readonly string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
}
