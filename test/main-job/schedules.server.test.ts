import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { requireOrSkip } from "../servers/requirements.ts";
import { BOX_CHECKOUT, type SystemdBox, startSystemdBox } from "../servers/systemd-box.ts";

const BACKUPCTL = `${BOX_CHECKOUT}/bin/backupctl`;
const TIMEOUT_MS = 150_000;

const listSchema = z.object({
  schedules: z.array(
    z.object({
      name: z.string(),
      last_status: z.string().nullable(),
      successful_runs: z.number(),
      missed: z.unknown(),
    }),
  ),
});

interface BoxSite {
  readonly directory: string;
  /** Runs `backupctl` with its configuration. */
  backupctl(...args: string[]): string;
}

function configOf(site: string, schedule: string): string {
  return `name: ${site}
state_dir: state
storages:
  main: {type: local, path: repository}
encryption:
  keys:
    main: {provider: local, key_file: main.key}
sources:
  www: {engine: files, paths: [www]}
schedules:
  ${schedule}: {cron: "* * * * *"}
  off: {every: day, at: "02:00", enabled: false}
`;
}

/** At the same time: each waits for the next minute. */
describe.runIf(requireOrSkip("root", "systemd-nspawn", "cron")).concurrent("a real host", () => {
  let box: SystemdBox;

  beforeAll(async () => {
    box = await startSystemdBox();
  }, 60_000);

  afterAll(async () => {
    await box?.stop();
  }, 60_000);

  function run(command: string, ...args: readonly string[]): string {
    const { status, stdout, stderr } = box.exec(command, ...args);
    if (status !== 0) throw new Error(`${command} ${args.join(" ")} exited with ${status}:\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** @param user a user of the box, who has a home there; by default root, below /srv */
  function makeSite(site: string, schedule: string, user?: string): BoxSite {
    const directory = user === undefined ? `/srv/${site}` : `/home/${user}/${site}`;
    const config = `${directory}/config.yaml`;
    run("mkdir", "-p", `${directory}/www`);
    box.write(`${directory}/www/index.html`, "<h1>hello</h1>");
    box.write(`${directory}/main.key`, "0f".repeat(32));
    run("chmod", "600", `${directory}/main.key`);
    box.write(config, configOf(site, schedule));
    if (user !== undefined) run("chown", "-R", user, directory);
    const prefix = user === undefined ? [] : asUser(user);
    const backupctl: BoxSite["backupctl"] = (...args) => {
      const [command = "", ...words] = [...prefix, BACKUPCTL, ...args, "--config", config];
      return run(command, ...words);
    };
    backupctl("init");
    return { directory, backupctl };
  }

  /** As `su` would have it: without what a login sets. */
  function asUser(user: string): readonly string[] {
    const runtime = `XDG_RUNTIME_DIR=/run/user/${run("id", "-u", user).trim()}`;
    return ["runuser", "-u", user, "--", "env", `HOME=/home/${user}`, runtime];
  }

  async function hasRun({ directory, backupctl }: BoxSite): Promise<void> {
    // To start the program all the time would take from the others what they need.
    while (run("find", `${directory}/repository`, "-name", "metadata.json") === "") await sleep(500);
    for (;;) {
      const [schedule] = listSchema.parse(JSON.parse(backupctl("schedule", "list", "--json"))).schedules;
      if (schedule?.last_status === "completed") return;
      if (schedule?.last_status === "failed") throw new Error(JSON.stringify(schedule));
      await sleep(1_000);
    }
  }

  test(
    "has systemd make a backup, confined as it is, and nothing is left when that is taken back",
    async () => {
      const site = makeSite("shop", "often");
      const { backupctl } = site;

      backupctl("schedule", "install", "--systemd");
      expect(run("systemctl", "list-timers", "--all")).toContain("backupctl-shop-often.timer");
      await hasRun(site);
      expect(run("systemctl", "show", "-p", "Result", "backupctl-shop-often.service")).toBe("Result=success\n");
      backupctl("verify", "latest");
      backupctl("schedule", "check");

      backupctl("schedule", "uninstall", "--systemd");
      expect(run("systemctl", "list-timers", "--all")).not.toContain("backupctl");
      expect(run("find", "/etc/systemd/system", "/var/lib/systemd/timers", "-name", "*backupctl*")).toBe("");
    },
    TIMEOUT_MS,
  );

  test(
    "has a user's own systemd make a backup while nobody is logged in, as far as that may confine it",
    async () => {
      run("useradd", "--create-home", "tester");
      run("loginctl", "enable-linger", "tester");
      const site = makeSite("wiki", "often", "tester");
      const { backupctl } = site;
      const [env = "", ...words] = asUser("tester");
      const systemctl = (...args: string[]): string => run(env, ...words, "systemctl", "--user", ...args);

      backupctl("schedule", "install", "--systemd", "--user");
      expect(systemctl("list-timers", "--all")).toContain("backupctl-wiki-often.timer");
      await hasRun(site);
      expect(systemctl("show", "-p", "Result", "backupctl-wiki-often.service")).toBe("Result=success\n");
      backupctl("verify", "latest");
      backupctl("schedule", "check");

      backupctl("schedule", "uninstall", "--systemd", "--user");
      expect(systemctl("list-timers", "--all")).not.toContain("backupctl");
      expect(run("find", "/home/tester/.config", "/home/tester/.local", "-name", "*backupctl-wiki*")).toBe("");
    },
    TIMEOUT_MS,
  );

  test(
    "has cron make a backup, beside what else is in the crontab",
    async () => {
      const site = makeSite("blog", "always");
      const { backupctl } = site;
      box.write("/srv/blog/crontab", "# mine\n0 5 * * * true\n");
      run("crontab", "/srv/blog/crontab");

      backupctl("schedule", "install", "--cron");
      expect(run("crontab", "-l")).toMatch(
        /^# mine\n0 5 \* \* \* true\n# BEGIN backupctl .*\n\* \* \* \* \* env .*\n# END/,
      );
      run("systemctl", "start", "cron");
      await hasRun(site);
      backupctl("verify", "latest");

      backupctl("schedule", "uninstall", "--cron");
      expect(run("crontab", "-l")).toBe("# mine\n0 5 * * * true\n");
    },
    TIMEOUT_MS,
  );
});
