import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../helpers/run-cli.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { filesBelow, type KillSite, makeKillSite } from "./killed-program.ts";

/** Stand for the host's own programs, and as crontab does, take what they are given whole or not at all; their state is in `target`. */
const PROGRAMS = {
  crontab: `#!/bin/sh
case $1 in
  -l) [ -f "$BOX/crontab" ] || { echo "no crontab for tester" >&2; exit 1; }; cat "$BOX/crontab" ;;
  -r) rm "$BOX/crontab" ;;
  -) cat >"$BOX/crontab.new" && mv "$BOX/crontab.new" "$BOX/crontab" ;;
esac
`,
  systemctl: `#!/bin/sh
echo "$*" >>"$BOX/systemctl"
`,
};
const SCHEDULES = `
schedules:
  nightly: {cron: "30 2 * * *"}
  often: {every: 15m, mode: incremental}
`;
const MINE = "0 5 * * * mine\n";

describe("schedules that are installed, or taken back, by a command that is killed", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  const box = path.join(directory, "target");
  const bin = path.join(directory, "bin");
  const env = { PATH: `${bin}:${process.env.PATH}`, BOX: box, XDG_CONFIG_HOME: path.join(box, "config") };
  let site: KillSite;
  beforeAll(async () => {
    mkdirSync(bin, { recursive: true });
    for (const [name, text] of Object.entries(PROGRAMS)) writeFileSync(path.join(bin, name), text, { mode: 0o755 });
    site = await makeKillSite(directory, "", { env });
    appendFileSync(site.configFile, SCHEDULES);
    writeFileSync(path.join(box, "crontab"), MINE);
  });

  const schedule = (...args: string[]) =>
    runCli(["schedule", ...args, "--config", site.configFile], { home: directory, env });

  it.each(["install", "uninstall"])("%s leaves the crontab as it was, or as it is to be", async (command) => {
    site.keep();
    const crontab = (): string => readFileSync(path.join(box, "crontab"), "utf8");
    const before = crontab();
    const kills = await site.kills(["schedule", command, "--cron"]);
    const after = crontab();
    expect(after).not.toBe(before);

    for (const kill of kills) {
      await kill.run();
      await untilNoneRuns(bin);
      await said(kill.what, async () => {
        expect([before, after]).toContain(crontab());
        expect(await schedule(command, "--cron")).toMatchObject({ exitCode: 0 });
        expect(crontab()).toBe(after);
      });
    }
    expect(crontab()).toContain(MINE);
  });

  it.each(["install", "uninstall"])("%s leaves each unit as it was, or as it is to be", async (command) => {
    site.keep();
    const units = (): readonly string[] => filesBelow(path.join(box, "config/systemd/user"));
    const before = units();
    const kills = await site.kills(["schedule", command, "--systemd", "--user"]);
    const after = units();
    expect(after).not.toEqual(before);

    for (const kill of kills) {
      await kill.run();
      await untilNoneRuns(bin);
      await said(kill.what, async () => {
        expect([...before, ...after]).toEqual(expect.arrayContaining(units().filter((line) => !/^\./.test(line))));
        expect(await schedule(command, "--systemd", "--user")).toMatchObject({ exitCode: 0 });
        expect(units()).toEqual(after);
        const told = readFileSync(path.join(box, "systemctl"), "utf8").trim().split("\n");
        if (command === "install") {
          expect(told.slice(-3).map((line) => line.split(" ")[2])).toEqual(["daemon-reload", "enable", "restart"]);
        } else {
          expect(told.at(-1)).toContain("daemon-reload");
          expect(told.join("\n")).toMatch(/disable --now .*often\.timer/);
        }
      });
    }
  });
});

/** What a program that was killed has started goes on to its end. */
async function untilNoneRuns(folder: string): Promise<void> {
  const isThere = (pid: string): boolean => {
    const file = `/proc/${pid}/cmdline`;
    try {
      return existsSync(file) && readFileSync(file, "utf8").includes(`${folder}/`);
    } catch {
      return false;
    }
  };
  while (
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .some(isThere)
  )
    await sleep(20);
}
