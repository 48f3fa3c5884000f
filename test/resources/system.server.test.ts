import { execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { noise } from "../helpers/bytes.ts";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { LAUNCHER } from "../helpers/run-cli.ts";
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

describe.runIf(requireOrSkip("root", "strace"))("a file system that keeps no owners", () => {
  it("is restored to all the same, with a warning", async () => {
    const site = await makeWww();
    const small = join(site.directory, "www/small");
    fs.chownSync(small, 1234, 1234);
    await site.run("create");
    fs.rmSync(small);
    const fault = ["-e", "trace=fchown,lchown,chown", "-e", "inject=fchown,lchown,chown:error=EPERM"];

    const result = under(
      site,
      ["strace", "-f", "-qq", "-o", "/dev/null", ...fault],
      ["restore", "latest", "--source", "www", "--overwrite", "--yes"],
    );

    expect(result.status, result.stderr).toBe(0);
    expect(result.stderr).toContain(
      "1 entries belong to the user who restored them: the file system there keeps no other owners",
    );
    expect(fs.readFileSync(small, "utf8")).toBe("small");
    expect(fs.statSync(small).uid).toBe(0);
  });
});

describe.runIf(requireOrSkip("root", "strace"))("a file system without links", () => {
  it.each([
    { what: "hard links", calls: "link,linkat", make: fs.linkSync },
    { what: "symlinks", calls: "symlink,symlinkat", make: fs.symlinkSync },
  ])("is named by a restore that needs $what, and nothing is put there", async ({ what, calls, make }) => {
    const site = await makeWww();
    make(join(site.directory, "www/small"), join(site.directory, "www/too"));
    await site.run("create", "--source", "www");
    const to = join(site.directory, "to");

    const { status, stderr } = under(
      site,
      ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`, "-e", `inject=${calls}:error=EPERM`],
      ["restore", "latest", "--source", "www", "--to", to, "--yes"],
    );

    expect(status, stderr).toBe(1);
    expect(stderr).toContain(`source "www" has ${what}, which the file system of ${to} does not take (EPERM)`);
    expect(stderr).toContain("backupctl download");
    expect(fs.existsSync(to)).toBe(false);
  });
});

describe.runIf(requireOrSkip("root", "strace"))("a source that vanishes while it is backed up", () => {
  /** Runs create, and `change` when it is about to list the folder `www/middle`: what comes before was seen, what comes later only named. */
  async function createWhile(site: CliSite, change: (www: string) => void) {
    const www = join(site.directory, "www");
    for (const name of ["before/file", "middle/file", "tail/file", "tail/deep/file"]) {
      fs.mkdirSync(dirname(join(www, name)), { recursive: true });
      fs.writeFileSync(join(www, name), name);
    }
    // Or else the tree is looked through once more before, to estimate its size.
    expect((await site.run("create", "--source", "www")).exitCode).toBe(0);
    const stop = ["-e", "trace=openat,open", "-e", "inject=openat,open:signal=STOP:when=1", "-P", join(www, "middle")];
    const log = join(site.directory, "strace");
    const create = [LAUNCHER, "create", "--mode", "full", "--source", "www", "--config", site.configFile];
    const child = spawn("strace", [...stop, "-f", "-qq", "-o", log, ...create], {
      cwd: site.directory,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = Promise.all([new Promise((resolve) => child.on("close", resolve)), text(child.stderr)]);
    const stopped = (): string | undefined => /^(\d+) .*stopped by SIGSTOP/m.exec(readIfThere(log))?.[1];
    while (stopped() === undefined && child.exitCode === null) await sleep(20);
    change(www);
    process.kill(Number(stopped()), "SIGCONT");
    const [exitCode, stderr] = await ended;
    expect(stderr).not.toContain("bug:");
    return { exitCode, stderr };
  }

  const restored = async (site: CliSite): Promise<readonly string[]> => {
    const to = join(site.directory, "to");
    expect((await site.run("verify", "latest", "--deep")).exitCode).toBe(0);
    expect((await site.run("restore", "latest", "--to", to)).exitCode).toBe(0);
    const inWww = namesBelow(to).map((name) => /(?:^|\/)www\/(.*)$/.exec(name)?.[1]);
    return inWww.filter((name) => name !== undefined).sort();
  };

  it("by a file or by a folder leaves a backup without it", async () => {
    const site = await makeWww();

    const { exitCode, stderr } = await createWhile(site, (www) => {
      fs.rmSync(join(www, "tail/deep"), { recursive: true });
      fs.rmSync(join(www, "small"));
    });

    expect(exitCode, stderr).toBe(0);
    const whole = ["before", "before/file", "large", "middle", "middle/file", "tail", "tail/file"];
    expect(await restored(site)).toEqual(whole);
  });

  it("as a whole is named, and is no backup that counts as whole", async () => {
    const site = await makeWww();

    const { exitCode, stderr } = await createWhile(site, (www) => fs.renameSync(www, `${www}.gone`));

    expect(exitCode, stderr).toBe(3);
    expect(stderr).toContain("www: it was removed or unmounted meanwhile");
    expect(await restored(site)).not.toContain("tail/file");
  });

  it("by being unmounted is named, and is no backup that counts as whole", async () => {
    const site = await makeWww();
    const www = join(site.directory, "www");
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", www]);
    onTestFinished(() => void spawnSync("umount", ["--lazy", www]));

    const { exitCode, stderr } = await createWhile(site, () => execFileSync("umount", ["--lazy", www]));

    expect(exitCode, stderr).toBe(3);
    expect(stderr).toContain("www: it was removed or unmounted meanwhile");
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

function readIfThere(file: string): string {
  return fs.existsSync(file) ? fs.readFileSync(file, "latin1") : "";
}

function namesBelow(folder: string): readonly string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
}
