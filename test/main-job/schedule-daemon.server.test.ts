import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { type RunningCli, startCli } from "../helpers/run-cli.ts";

const TIMEOUT_MS = 90_000;

const listSchema = z.object({
  schedules: z.array(
    z.object({
      name: z.string(),
      last_status: z.string().nullable(),
      total_runs: z.number(),
      successful_runs: z.number(),
    }),
  ),
});

/** A site with a schedule of every minute, whose export lasts as long as the file `slow` says. */
async function scheduledSite(): Promise<CliSite> {
  const site = await makeCliSite(`  export: {engine: command, command: ["{dir}/export"]}`);
  writeFileSync(
    join(site.directory, "export"),
    `#!/bin/sh\necho begun >>${site.directory}/begun\nsleep "$(cat ${site.directory}/slow)"\necho exported\n`,
    { mode: 0o755 },
  );
  slow(site, 0);
  appendFileSync(site.configFile, `schedules:\n  often: {cron: "* * * * *"}\n  yearly: {cron: "@yearly"}\n`);
  // Known before the daemon is: what is due by then is missed.
  await site.run("schedule", "list");
  return site;
}

function slow(site: CliSite, seconds: number): void {
  writeFileSync(join(site.directory, "slow"), String(seconds));
}

function startDaemon(site: CliSite): RunningCli {
  const daemon = startCli(["schedule", "daemon", "--config", site.configFile], { home: site.directory });
  onTestFinished(() => void daemon.child.kill("SIGKILL"));
  return daemon;
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await sleep(200);
}

async function often(site: CliSite) {
  const [schedule] = (await site.json(listSchema, ["schedule", "list"])).schedules;
  if (schedule === undefined) throw new Error("no schedule");
  return schedule;
}

function timesBegun(site: CliSite): number {
  try {
    return readFileSync(join(site.directory, "begun"), "utf8").split("\n").length - 1;
  } catch {
    return 0;
  }
}

describe("schedule daemon", () => {
  test(
    "makes up for what was missed, and ends with 0 between two runs",
    async () => {
      const site = await scheduledSite();
      const daemon = startDaemon(site);

      await until(async () => (await often(site)).successful_runs >= 1);
      expect((await site.json(listSchema, ["schedule", "list"])).schedules[1]).toMatchObject({ total_runs: 0 });
      // Its process has still to end, and the daemon to ask for the other schedule.
      await sleep(3_000);
      daemon.child.kill("SIGTERM");

      const result = await daemon.result;
      expect(result).toMatchObject({ exitCode: 0 });
      expect(result.stdout).toContain('schedule "often" done: backup');
      expect(result.stdout).toContain('schedule "yearly": nothing to do, it is not due');
      await site.run("schedule", "check").then(({ exitCode }) => expect(exitCode).toBe(0));
    },
    TIMEOUT_MS,
  );

  test.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)(
    "cuts off a run when %s ends it, with %i, which cleans up and is begun again at the next start",
    async (signal, exitCode) => {
      const site = await scheduledSite();
      slow(site, 60);
      const daemon = startDaemon(site);
      await until(() => timesBegun(site) === 1);

      daemon.child.kill(signal);
      const ended = await daemon.result;
      expect(ended.exitCode).toBe(exitCode);
      expect(ended.stderr.match(/cleaning up|interrupted by/g)).toEqual(["cleaning up", "interrupted by"]);
      expect(await often(site)).toMatchObject({ last_status: "interrupted" });
      expect((await site.run("schedule", "check")).exitCode).toBe(4);

      slow(site, 0);
      startDaemon(site);
      await until(async () => (await often(site)).last_status === "completed");
    },
    TIMEOUT_MS,
  );

  test(
    "that was killed leaves its run to its end, and the next one begins no second one beside it",
    async () => {
      const site = await scheduledSite();
      slow(site, 20);
      const daemon = startDaemon(site);
      await until(() => timesBegun(site) === 1);
      daemon.child.kill("SIGKILL");

      const next = startDaemon(site);
      await until(async () => (await often(site)).successful_runs === 1);

      expect(timesBegun(site)).toBe(1);
      next.child.kill("SIGTERM");
      expect((await next.result).stdout).toContain("it is running already");
    },
    TIMEOUT_MS,
  );

  test("refuses to run nothing", async () => {
    const site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/www"]}`);
    mkdirSync(join(site.directory, "www"));

    expect(await site.run("schedule", "daemon")).toMatchObject({ exitCode: 2 });
  });
});
