import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { openSite } from "../../helpers/open-site.ts";

const SCHEDULES = `
schedules:
  nightly: {cron: "0 2 * * *"}
  off: {every: day, at: "05:00", enabled: false}
  often: {every: 15m}
`;

/** It stands still, half a second before something is due: so long the daemon sleeps. */
const CLOCK = { now: () => new Date("2026-01-10T12:14:59.500Z"), monotonicMs: () => performance.now() };

/** The daemon over a site, and what it starts in place of the program: something that writes its arguments down. */
async function daemonSite({ lasts = "0", origin }: { lasts?: string; origin?: string } = {}) {
  const site = await openSite({ more: SCHEDULES, clock: CLOCK });
  const program = join(site.directory, "program");
  const calls = join(site.directory, "calls");
  writeFileSync(
    program,
    `#!/bin/sh\ntrap 'kill $!; echo ended >>${calls}; exit 143' TERM\necho "$*" >>${calls}\nsleep ${lasts} & wait $!\nexit 3\n`,
    { mode: 0o755 },
  );
  const controller = new AbortController();
  const { loaded } = site.session;
  const operations = await site.reopen({
    signal: controller.signal,
    program: { path: program, environment: {} },
    loaded: { ...loaded, origin: origin ?? loaded.origin },
  });
  const config = join(site.directory, "backup.config.yaml");
  const text = readFileSync(config, "utf8");
  const called = (): readonly string[] => (existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : []);
  return {
    site,
    operations,
    called,
    reload: () => loadConfig({ path: config, env: {}, cwd: site.directory }),
    change: (schedules: string): void => writeFileSync(config, text.replace(/^schedules:[\s\S]*/m, schedules)),
    calledTimes: async (times: number): Promise<void> => {
      while (called().length < times) await sleep(20);
    },
    end: () => controller.abort(new BackupctlError("INTERRUPTED", "interrupted by SIGTERM")),
  };
}

describe("the daemon", () => {
  test("asks for each schedule that is enabled, one after the other, and ends well between them", async () => {
    const { site, operations, called, calledTimes, reload, end } = await daemonSite();
    const runs: unknown[] = [];

    const serving = operations.serveSchedules({ quiet: false, reload, onRun: (run) => runs.push(run) });
    await calledTimes(2);
    while (runs.length < 2) await sleep(20);
    end();
    await serving;

    const config = join(site.directory, "backup.config.yaml");
    expect(called()).toEqual([
      `schedule run nightly --if-due --config ${config}`,
      `schedule run often --if-due --config ${config}`,
    ]);
    expect(runs).toEqual([
      { name: "nightly", exitCode: 3 },
      { name: "often", exitCode: 3 },
    ]);
  });

  test("has a run that it is ended in clear up, and begins no other", async () => {
    const { operations, called, calledTimes, reload, end } = await daemonSite({ lasts: "60", origin: "environment" });

    const serving = operations.serveSchedules({ quiet: true, reload });
    await calledTimes(1);
    end();

    await expect(serving).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(called()).toEqual(["schedule run nightly --if-due --quiet", "ended"]);
  });

  test("goes by the configuration as it is changed, and stays with the last one that is sound", async () => {
    const { site, operations, reload, change, end } = await daemonSite();
    const runs: string[] = [];
    const serving = operations.serveSchedules({ quiet: true, reload, onRun: ({ name }) => runs.push(name) });
    while (runs.length < 2) await sleep(20);

    change("schedules:\n  other: {every: 15m}\n");
    while (runs.length < 3) await sleep(20);
    change("schedules:\n  other: {every: 15m\n");
    while (site.warnings.length === 0) await sleep(20);
    // It sleeps twice, and says no more of it.
    await sleep(1_200);
    expect(site.warnings.filter((line) => line.includes("can't be used"))).toHaveLength(1);
    change("schedules:\n  other: {every: 15m}\n  more: {every: day, at: '03:00'}\n");
    while (runs.length < 5) await sleep(20);
    end();
    await serving;

    expect(runs).toEqual(["nightly", "often", "other", "other", "more"]);
  });

  test("stays with what it read where the file is gone, or is none any more", async () => {
    const { site, operations, reload, end } = await daemonSite();
    const runs: unknown[] = [];
    const serving = operations.serveSchedules({ quiet: true, reload, onRun: (run) => runs.push(run) });
    while (runs.length < 2) await sleep(20);

    rmSync(join(site.directory, "backup.config.yaml"));
    while (site.warnings.length < 2) await sleep(20);
    mkdirSync(join(site.directory, "backup.config.yaml"));
    while (site.warnings.length < 4) await sleep(20);
    end();
    await serving;

    expect(site.warnings.join("\n")).toContain("can't be used: the schedules stay at the times that they had");
  });

  test("needs a schedule, and the program", async () => {
    const { site, operations, reload } = await daemonSite();
    const { loaded } = site.session;
    const empty = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, schedules: [] } } });
    const gone = await site.reopen({ program: { path: "/nowhere/backupctl", environment: {} } });

    await expect(empty.serveSchedules({ quiet: true, reload })).rejects.toMatchObject({ code: "USAGE" });
    await expect(gone.serveSchedules({ quiet: true, reload })).rejects.toMatchObject({ code: "TOOL_MISSING" });
    await operations.close();
  });
});
