import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { openSite } from "../../helpers/open-site.ts";

const SCHEDULES = `
schedules:
  nightly: {cron: "0 2 * * *"}
  off: {every: day, at: "05:00", enabled: false}
  often: {every: 15m}
`;

/** The daemon over a site, and what it starts in place of the program: something that writes its arguments down. */
async function daemonSite({ lasts = "0", origin }: { lasts?: string; origin?: string } = {}) {
  const site = await openSite({ more: SCHEDULES });
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
  const called = (): readonly string[] => (existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : []);
  return {
    site,
    operations,
    called,
    calledTimes: async (times: number): Promise<void> => {
      while (called().length < times) await sleep(20);
    },
    end: () => controller.abort(new BackupctlError("INTERRUPTED", "interrupted by SIGTERM")),
  };
}

describe("the daemon", () => {
  test("asks for each schedule that is enabled, one after the other, and ends well between them", async () => {
    const { site, operations, called, calledTimes, end } = await daemonSite();
    const runs: unknown[] = [];

    const serving = operations.serveSchedules({ quiet: false, onRun: (run) => runs.push(run) });
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
    const { operations, called, calledTimes, end } = await daemonSite({ lasts: "60", origin: "environment" });

    const serving = operations.serveSchedules({ quiet: true });
    await calledTimes(1);
    end();

    await expect(serving).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(called()).toEqual(["schedule run nightly --if-due --quiet", "ended"]);
  });

  test("needs a schedule, and the program", async () => {
    const { site, operations } = await daemonSite();
    const { loaded } = site.session;
    const empty = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, schedules: [] } } });
    const gone = await site.reopen({ program: { path: "/nowhere/backupctl", environment: {} } });

    await expect(empty.serveSchedules({ quiet: true })).rejects.toMatchObject({ code: "USAGE" });
    await expect(gone.serveSchedules({ quiet: true })).rejects.toMatchObject({ code: "TOOL_MISSING" });
    await operations.close();
  });
});
