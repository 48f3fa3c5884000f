import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { type RunningCli, startCli } from "../helpers/run-cli.ts";

const SLOW = `  first: {engine: files, paths: ["{dir}/www"]}
  slow: {engine: command, command: ["sh", "-c", "echo begin; sleep 60"]}`;
const listed = z.object({ backups: z.array(z.object({ status: z.string() })) });

async function startSlowBackup(): Promise<{ readonly site: CliSite; readonly running: RunningCli }> {
  const site = await makeCliSite(SLOW);
  mkdirSync(join(site.directory, "www"));
  writeFileSync(join(site.directory, "www/file"), "content");
  const running = startCli(["create", "--config", site.configFile], { home: site.directory, cwd: site.directory });
  for (let i = 0; i < 200 && packsIn(site).length === 0; i++) await new Promise((done) => setTimeout(done, 50));
  expect(packsIn(site).length).toBeGreaterThan(0);
  return { site, running };
}

function packsIn(site: CliSite): readonly string[] {
  const repository = join(site.directory, "repository");
  const names = existsSync(repository) ? readdirSync(repository, { recursive: true, encoding: "utf8" }) : [];
  return names.filter((name) => name.includes(".tree."));
}

describe("a backup that is interrupted", () => {
  it.each([
    ["SIGHUP", 129],
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("by %s ends at once with %i, and leaves nothing in storage", async (signal, exitCode) => {
    const { site, running } = await startSlowBackup();

    running.child.kill(signal);
    const result = await running.result;

    expect(result).toMatchObject({ exitCode, signal: null });
    expect(packsIn(site)).toEqual([]);
    expect((await site.json(listed, ["list"])).backups).toMatchObject([{ status: "failed" }]);
  });

  it("by kill -9 is said to be dead, is no backup, and the next run clears what it left", async () => {
    const { site, running } = await startSlowBackup();

    running.child.kill("SIGKILL");
    await running.result;
    const status = await site.run("status", "--json");
    const left = packsIn(site).length;
    const next = await site.run("create", "--source", "first", "--json");

    expect(status.json()).toMatchObject({ status: "interrupted" });
    expect(left).toBeGreaterThan(0);
    expect(next).toMatchObject({ exitCode: 0 });
    expect((await site.json(listed, ["list"])).backups.map((backup) => backup.status)).toEqual(["completed", "failed"]);
    expect(packsIn(site).filter((name) => name.startsWith("full/"))).toEqual([]);
  });
});
