import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
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

/** From where the program just starts to where it has enough. Fewer are too few for Node itself. */
describe("a process that may open no more files", () => {
  it.each([28, 34, 40, 46])("with %i of them ends in words, or with a backup that is sound", async (most) => {
    const site = await makeWww();

    const { status, signal, stderr } = under(site, ["prlimit", `--nofile=${most}`], ["create"]);

    expect(signal).toBeNull();
    expect(stderr).not.toContain("bug:");
    expect([0, 1, 3], stderr).toContain(status);
    if (status === 1) expect(stderr).toMatch(/error: [A-Z_]+: /);
    else expect((await site.run("verify", "latest")).exitCode).toBe(0);
  });
});
