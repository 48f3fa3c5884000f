import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeCliSite } from "../helpers/cli-site.ts";
import { cliEnvironment, LAUNCHER } from "../helpers/run-cli.ts";

const CRONTAB = readFileSync(join(import.meta.dirname, "../../examples/crontab"), "utf8");

interface Job {
  readonly schedule: string;
  readonly command: string;
}

function jobsOf(crontab: string): readonly Job[] {
  return crontab.split("\n").flatMap((line) => {
    if (/^\s*(#|$)|^\w+=/.test(line)) return [];
    const [, schedule = "", command = ""] = /^((?:[\d*/,-]+\s+){5})(.*)$/.exec(line) ?? [];
    return [{ schedule: schedule.trim(), command }];
  });
}

describe("examples/crontab", () => {
  const jobs = jobsOf(CRONTAB);

  test("every line is a schedule and a command without the % that cron would take for a line break", () => {
    expect(jobs).toHaveLength(3);
    for (const { schedule, command } of jobs) {
      expect(schedule.split(/\s+/)).toHaveLength(5);
      expect(command).toMatch(/^backupctl [^%]+$/);
    }
  });

  test("its commands back up and verify, and say nothing for cron to mail", async () => {
    const site = await makeCliSite("  uploads: {engine: files, paths: ['{dir}/uploads']}");
    mkdirSync(join(site.directory, "uploads"));
    writeFileSync(join(site.directory, "uploads/a.txt"), "a");

    for (const { command } of jobs) {
      const { status, stdout, stderr } = runByCron(command, site);
      expect({ command, status, output: stdout + stderr }).toEqual({ command, status: 0, output: "" });
    }

    expect((await site.run("list", "--json")).json()).toMatchObject({ total: 2 });
  });

  test("a backup that fails is a line for cron to mail", async () => {
    const site = await makeCliSite("  uploads: {engine: files, paths: ['{dir}/gone']}");

    const { status, stderr } = runByCron(jobs[1]?.command ?? "", site);

    expect(status).toBe(1);
    expect(stderr).toContain("gone");
  });
});

/** As cron does: by sh, with hardly any environment, from the home directory. */
function runByCron(command: string, site: { readonly directory: string; readonly configFile: string }) {
  return spawnSync("/bin/sh", ["-c", command], {
    cwd: site.directory,
    encoding: "utf8",
    env: cliEnvironment(site.directory, {
      BACKUPCTL_CONFIG: site.configFile,
      PATH: `${dirname(LAUNCHER)}:${process.env.PATH}`,
    }),
  });
}
