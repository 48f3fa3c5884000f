import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Operations } from "../../../src/operations/operations.ts";
import { type OpenSite, openSite } from "../../helpers/open-site.ts";

const SCHEDULES = `
schedules:
  nightly: {cron: "30 2 * * *"}
  often: {every: 15m, mode: incremental}
  off: {every: day, at: "05:00", enabled: false}
`;

/** Stands for cron's and systemd's own programs: what they are given is kept in the site's folder. */
const FAKES = {
  crontab: `#!/bin/sh
file="$BOX/crontab"
case $1 in
  -l) [ -f "$file" ] || { echo "no crontab for tester" >&2; exit 1; }; cat "$file" ;;
  -r) rm "$file" ;;
  -) [ "$REFUSE" = none ] || { echo "bad minute" >&2; exit 1; }; cat >"$file" ;;
esac
`,
  systemctl: `#!/bin/sh
echo "$*" >>"$BOX/systemctl"
case " $* " in *" $REFUSE "*) echo "Failed to connect to bus" >&2; exit 1 ;; esac
`,
};

async function hostOf(more = SCHEDULES): Promise<OpenSite> {
  const site = await openSite({ more });
  mkdirSync(join(site.directory, "bin"));
  for (const [name, text] of Object.entries(FAKES))
    writeFileSync(join(site.directory, "bin", name), text, { mode: 0o755 });
  vi.stubEnv("PATH", `${join(site.directory, "bin")}:${process.env.PATH}`);
  vi.stubEnv("BOX", site.directory);
  vi.stubEnv("REFUSE", "none");
  vi.stubEnv("XDG_CONFIG_HOME", join(site.directory, "config"));
  return site;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

function crontabOf(site: OpenSite): string | undefined {
  const file = join(site.directory, "crontab");
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function unitsOf(site: OpenSite): readonly string[] {
  return readdirSync(join(site.directory, "config/systemd/user")).toSorted();
}

function calledOf(site: OpenSite): readonly string[] {
  return readFileSync(join(site.directory, "systemctl"), "utf8").trim().split("\n");
}

/** The same configuration with other schedules. */
function withSchedules(site: OpenSite, names: readonly string[]): Promise<Operations> {
  const { loaded } = site.session;
  const schedules = loaded.config.schedules.filter(({ name }) => names.includes(name));
  return site.reopen({ loaded: { ...loaded, config: { ...loaded.config, schedules } } });
}

const CRON = { how: "cron", user: false } as const;
const USER = { how: "systemd", user: true } as const;

describe("schedules in the crontab", () => {
  test("are lines between marks, for those that are enabled, and go again", async () => {
    const site = await hostOf();
    writeFileSync(join(site.directory, "crontab"), "0 5 * * * mine\n");

    await site.operations.installSchedules({ ...CRON, print: false });

    const lines = crontabOf(site)?.split("\n") ?? [];
    expect(lines.filter((line) => !line.includes("schedule run"))).toEqual([
      "0 5 * * * mine",
      `# BEGIN backupctl ${site.directory}/backup.config.yaml`,
      `# END backupctl ${site.directory}/backup.config.yaml`,
      "",
    ]);
    const [nightly = "", often = ""] = lines.filter((line) => line.includes("schedule run"));
    expect(nightly).toMatch(/^30 /);
    expect(often).toBe(
      `*/15 * * * * env BACKUPCTL_STATE_DIR=${site.directory}/state /usr/local/bin/backupctl schedule run often --if-due --config ${site.directory}/backup.config.yaml --quiet`,
    );
    expect((await site.operations.uninstallSchedules(CRON)).removed).toHaveLength(lines.length - 2);
    expect(crontabOf(site)).toBe("0 5 * * * mine\n");
    expect(await site.operations.uninstallSchedules(CRON)).toEqual({ parts: [], removed: [] });
  });

  test("leave no crontab where there was none", async () => {
    const site = await hostOf();
    await site.operations.installSchedules({ ...CRON, print: false });

    await site.operations.uninstallSchedules(CRON);

    expect(crontabOf(site)).toBeUndefined();
  });

  test("go where none is enabled any longer, and are refused where nothing was there either", async () => {
    const site = await hostOf();
    writeFileSync(join(site.directory, "crontab"), "0 5 * * * mine\n");
    await site.operations.installSchedules({ ...CRON, print: false });
    const none = await withSchedules(site, ["off"]);

    expect((await none.installSchedules({ ...CRON, print: false })).removed.join("\n")).toContain("run nightly");

    expect(crontabOf(site)).toBe("0 5 * * * mine\n");
    expect(site.warnings).toEqual([expect.stringContaining("nothing runs by itself any longer")]);
    await expect(none.installSchedules({ ...CRON, print: false })).rejects.toMatchObject({ code: "USAGE" });
  });

  test("that lost a mark are named, by install and by uninstall", async () => {
    const site = await hostOf();
    await site.operations.installSchedules({ ...CRON, print: false });
    const cut = crontabOf(site)?.replace(/^# END .*\n/m, "") ?? "";
    writeFileSync(join(site.directory, "crontab"), cut);

    await site.operations.installSchedules({ ...CRON, print: false });
    const named = site.warnings.length;
    await site.operations.uninstallSchedules(CRON);

    expect(named).toBeGreaterThan(0);
    expect(site.warnings).toHaveLength(2 * named);
    expect(crontabOf(site)?.match(/schedule run nightly/g)?.length).toBeGreaterThan(0);
    expect(site.warnings.join("\n")).toContain("schedule run nightly --if-due");
  });

  test("are only shown with print", async () => {
    const site = await hostOf();

    const { parts } = await site.operations.installSchedules({ ...CRON, print: true });

    expect(parts).toEqual([{ place: "crontab", text: expect.stringContaining("schedule run nightly --if-due") }]);
    expect(crontabOf(site)).toBeUndefined();
  });

  test("that cron refuses change nothing, with what it says", async () => {
    const site = await hostOf();
    vi.stubEnv("REFUSE", "yes");

    await expect(site.operations.installSchedules({ ...CRON, print: false })).rejects.toMatchObject({
      ...{ code: "TOOL_FAILED", message: expect.stringContaining("bad minute") },
    });
    expect(crontabOf(site)).toBeUndefined();
  });

  test("count from then on as missed", async () => {
    const site = await hostOf();
    const noon = (date: string) => ({ now: () => new Date(`${date}T12:00:00`), monotonicMs: () => performance.now() });
    const installing = await site.reopen({ clock: noon("2026-03-02") });
    await installing.installSchedules({ ...CRON, print: false });

    const [nightly] = await (await site.reopen({ clock: noon("2026-03-04") })).listSchedules();

    expect(nightly?.missed?.count).toBe(2);
  });
});

describe("schedules of systemd", () => {
  test("are a timer and a service each, started anew; what is no longer there goes", async () => {
    const site = await hostOf();

    await site.operations.installSchedules({ ...USER, print: false });
    const timers = "backupctl-test-nightly.timer backupctl-test-often.timer";
    expect(unitsOf(site)).toEqual([
      ...["backupctl-test-nightly.service", "backupctl-test-nightly.timer"],
      ...["backupctl-test-often.service", "backupctl-test-often.timer"],
    ]);
    expect(calledOf(site)).toEqual([
      "--user --quiet show --property=Version",
      "--user --quiet daemon-reload",
      `--user --quiet enable ${timers}`,
      `--user --quiet restart ${timers}`,
    ]);

    const fewer = await withSchedules(site, ["often"]);
    const { removed } = await fewer.installSchedules({ ...USER, print: false });
    expect(removed.toSorted()).toEqual([
      ...["backupctl-test-nightly.service", "backupctl-test-nightly.timer"],
      "stamp-backupctl-test-nightly.timer",
    ]);
    expect(unitsOf(site)).toEqual(["backupctl-test-often.service", "backupctl-test-often.timer"]);
    const calls = calledOf(site);
    const stopped = calls.indexOf("--user --quiet disable --now backupctl-test-nightly.timer");
    expect(calls[stopped + 1]).toBe("--user --quiet clean --what=state backupctl-test-nightly.timer");

    await site.operations.uninstallSchedules(USER);
    expect(unitsOf(site)).toEqual([]);
    expect(await site.operations.uninstallSchedules(USER)).toEqual({ parts: [], removed: [] });
  });

  test("are not put over the units of another configuration of the same name, nor do these go", async () => {
    const site = await hostOf();
    await site.operations.installSchedules({ ...USER, print: false });
    const other = await hostOf();
    vi.stubEnv("XDG_CONFIG_HOME", join(site.directory, "config"));

    await expect(other.operations.installSchedules({ ...USER, print: false })).rejects.toMatchObject({
      ...{ code: "USAGE", message: expect.stringContaining("is not of this configuration") },
    });
    await other.operations.uninstallSchedules(USER);

    expect(unitsOf(site)).toHaveLength(4);
  });

  test("are refused before anything is written where there is no such systemd, with the ways to one", async () => {
    const site = await hostOf();
    vi.stubEnv("REFUSE", "show");

    await expect(site.operations.installSchedules({ ...USER, print: false })).rejects.toMatchObject({
      code: "TOOL_FAILED",
      message: expect.stringContaining("this user's own systemd can't be asked, and nothing was changed"),
      hint: expect.stringMatching(/enable-linger .*XDG_RUNTIME_DIR=\/run\/user\/.*--cron/),
    });
    expect(existsSync(join(site.directory, "config/systemd"))).toBe(false);
    await expect(site.operations.installSchedules({ how: "systemd", user: false, print: false })).rejects.toMatchObject(
      { message: expect.stringContaining("systemd can't be asked"), hint: expect.stringMatching(/^Where there is no/) },
    );
  });

  test("stay where there is no such systemd any longer, with what is to go by hand", async () => {
    const site = await hostOf();
    await site.operations.installSchedules({ ...USER, print: false });
    vi.stubEnv("REFUSE", "show");

    await expect(site.operations.uninstallSchedules(USER)).rejects.toMatchObject({
      ...{ code: "TOOL_FAILED", hint: expect.stringContaining("remove backupctl-test-nightly.service, ") },
    });
    expect(unitsOf(site)).toHaveLength(4);
  });

  test("that systemd refuses are said to lie there, and are installed by the next call", async () => {
    const site = await hostOf();
    vi.stubEnv("REFUSE", "enable");
    await expect(site.operations.installSchedules({ ...USER, print: false })).rejects.toMatchObject({
      code: "TOOL_FAILED",
      message: expect.stringMatching(/the units lie in .*systemd\/user, but not all run: .*Failed to connect to bus/),
      hint: expect.stringContaining("Install again"),
    });
    expect(unitsOf(site)).toHaveLength(4);
    vi.stubEnv("REFUSE", "none");

    await site.operations.installSchedules({ ...USER, print: false });

    expect(calledOf(site).at(-1)).toContain("restart");
  });

  test("go also where systemd is too old to remove a timer's stamp, which is said", async () => {
    const site = await hostOf();
    await site.operations.installSchedules({ ...USER, print: false });
    vi.stubEnv("REFUSE", "clean");

    expect((await site.operations.uninstallSchedules(USER)).removed).toHaveLength(4);

    expect(unitsOf(site)).toEqual([]);
    expect(site.warnings).toEqual([expect.stringContaining("goes on keeping when backupctl-test-nightly.timer")]);
  });

  test("are only shown with print, also those of the system", async () => {
    const site = await hostOf();

    const { parts } = await site.operations.installSchedules({ how: "systemd", user: false, print: true });

    expect(parts.map(({ place }) => place)).toContain("/etc/systemd/system/backupctl-test-nightly.timer");
    expect(existsSync(join(site.directory, "systemctl"))).toBe(false);
  });
});

describe("there is nothing to install", () => {
  test("without a schedule that is enabled", async () => {
    const site = await hostOf("schedules: {off: {cron: '@daily', enabled: false}}");

    await expect(site.operations.installSchedules({ ...CRON, print: true })).rejects.toMatchObject({ code: "USAGE" });
  });

  test("where a path would become lines of its own", async () => {
    const site = await hostOf();
    const { loaded } = site.session;
    const hostile = await site.reopen({ loaded: { ...loaded, origin: "/srv/a\n* * * * * evil/config.yaml" } });

    await expect(hostile.installSchedules({ ...CRON, print: true })).rejects.toMatchObject({ code: "USAGE" });
    await expect(hostile.uninstallSchedules(USER)).rejects.toMatchObject({ code: "USAGE" });
  });

  test("where the configuration is in the environment", async () => {
    const site = await hostOf();
    const inEnvironment = await site.reopen({ loaded: { ...site.session.loaded, origin: "environment" } });

    await expect(inEnvironment.installSchedules({ ...CRON, print: true })).rejects.toMatchObject({
      ...{ code: "USAGE", hint: expect.stringContaining("schedule daemon") },
    });
  });
});
