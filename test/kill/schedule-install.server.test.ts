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

  /** Kills `schedule` with these arguments at each of its steps. `again` runs it to its end, which leaves what it leaves unkilled. */
  async function killed<T>(
    args: readonly string[],
    look: () => T,
    check: (unkilled: { readonly before: T; readonly after: T }, again: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    site.keep();
    const before = look();
    const kills = await site.kills(["schedule", ...args]);
    const after = look();
    expect(after).not.toEqual(before);
    const again = async (): Promise<void> => {
      const run = await runCli(["schedule", ...args, "--config", site.configFile], { home: directory, env });
      expect(run).toMatchObject({ exitCode: 0 });
      expect(look()).toEqual(after);
    };

    for (const kill of kills) {
      await kill.run();
      await untilNoneRuns(bin);
      await said(kill.what, () => check({ before, after }, again));
    }
  }

  it.each(["install", "uninstall"])("%s leaves the crontab as it was, or as it is to be", async (command) => {
    const crontab = (): string => readFileSync(path.join(box, "crontab"), "utf8");

    await killed([command, "--cron"], crontab, async ({ before, after }, again) => {
      expect([before, after]).toContain(crontab());
      await again();
    });

    expect(crontab()).toContain(MINE);
  });

  it.each(["install", "uninstall"])("%s leaves each unit as it was, or as it is to be", async (command) => {
    const units = (): readonly string[] => filesBelow(path.join(box, "config/systemd/user"));

    await killed([command, "--systemd", "--user"], units, async ({ before, after }, again) => {
      expect([...before, ...after]).toEqual(expect.arrayContaining(units().filter((line) => !/^\./.test(line))));
      await again();
      const told = readFileSync(path.join(box, "systemctl"), "utf8").trim().split("\n");
      if (command === "install") {
        expect(told.slice(-3).map((line) => line.split(" ")[2])).toEqual(["daemon-reload", "enable", "restart"]);
      } else {
        // Killed before its very end it has stopped units in systemd's memory, of which no file is left: they are forgotten there.
        expect(told.at(-1)).toMatch(/daemon-reload|clean --what=state/);
        expect(told.join("\n")).toMatch(/disable --now .*often\.timer/);
      }
    });
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
