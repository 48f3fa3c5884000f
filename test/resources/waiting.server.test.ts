import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { noise } from "../helpers/bytes.ts";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { cliEnvironment, LAUNCHER, startCli } from "../helpers/run-cli.ts";

/** Who is not done by then is killed: its exit code is none. A minute is what a secret's command has. */
const KILLED_AFTER_MS = 20_000;

async function siteWithExport(): Promise<CliSite> {
  const site = await makeCliSite(`  export: {engine: command, command: [cat, "{dir}/large"]}`);
  fs.writeFileSync(join(site.directory, "large"), noise(5 * 1024 * 1024));
  return site;
}

function run(site: CliSite, args: readonly string[]) {
  return startCli([...args, "--config", site.configFile], { home: site.directory, timeoutMs: KILLED_AFTER_MS });
}

async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(20);
  }
}

describe("one signal ends what waits", () => {
  it("for a secret's command, and that command", async () => {
    const site = await siteWithExport();
    const pidFile = join(site.directory, "pid");
    const config = fs.readFileSync(site.configFile, "utf8");
    const command = `key_command: [sh, -c, "echo $$$$ > ${pidFile}; exec sleep 300"]`;
    fs.writeFileSync(site.configFile, config.replace(/key_file: [^}]*/, command));
    const { child, result } = run(site, ["create"]);
    const pid = await until(() => (fs.existsSync(pidFile) && Number(fs.readFileSync(pidFile, "utf8"))) || undefined);

    child.kill("SIGTERM");

    expect(await result).toMatchObject({ exitCode: 143, stderr: expect.stringContaining("interrupted by SIGTERM") });
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  it("for a secret from a pipe that nobody writes to", async () => {
    const site = await siteWithExport();
    const pipe = join(site.directory, "main.key");
    fs.rmSync(pipe);
    execFileSync("mkfifo", ["-m", "600", pipe]);
    const { child, result } = run(site, ["create"]);
    const writer = await until(() => openForWriting(pipe));

    child.kill("SIGTERM");

    expect(await result).toMatchObject({ exitCode: 143 });
    fs.closeSync(writer);
  });

  it("for somebody to read standard output", async () => {
    const site = await siteWithExport();
    expect(await site.run("create")).toMatchObject({ exitCode: 0 });
    const args = ["restore", "latest", "--source", "export", "--to", "-", "--config", site.configFile];
    const env = cliEnvironment(site.directory);
    const limits = { timeout: KILLED_AFTER_MS, killSignal: "SIGKILL" } as const;
    const child = spawn(LAUNCHER, args, { cwd: site.directory, env, stdio: ["ignore", "pipe", "ignore"], ...limits });
    await once(child.stdout, "readable");

    child.kill("SIGTERM");

    const [exitCode] = await once(child, "exit");
    expect(exitCode).toBe(143);
    child.stdout.destroy();
  });
});

it("a secret is read from a pipe", async () => {
  const site = await siteWithExport();
  const pipe = join(site.directory, "main.key");
  const key = fs.readFileSync(pipe, "utf8");
  fs.rmSync(pipe);
  execFileSync("mkfifo", ["-m", "600", pipe]);
  const { result } = run(site, ["create"]);
  const writer = await until(() => openForWriting(pipe));

  fs.writeSync(writer, key);
  fs.closeSync(writer);

  expect(await result).toMatchObject({ exitCode: 0 });
});

/** `undefined` until somebody reads. */
function openForWriting(pipe: string): number | undefined {
  try {
    return fs.openSync(pipe, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}
