import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { requireOrSkip } from "../servers/requirements.ts";
import { BOX_CHECKOUT, type SystemdBox, startSystemdBox } from "../servers/systemd-box.ts";

const BACKUPCTL = `${BOX_CHECKOUT}/bin/backupctl`;
const TIMEOUT_MS = 110_000;

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

function configOf(site: string, schedule: string): string {
  return `name: ${site}
state_dir: /srv/${site}/state
storages:
  main: {type: local, path: /srv/${site}/repository}
encryption:
  keys:
    main: {provider: local, key_file: /srv/${site}/main.key}
sources:
  www: {engine: files, paths: [/srv/${site}/www]}
schedules:
  ${schedule}: {cron: "* * * * *"}
  off: {every: day, at: "02:00", enabled: false}
`;
}

describe.runIf(requireOrSkip("root", "systemd-nspawn", "cron"))("a real host", () => {
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

  function makeSite(site: string, schedule: string): (...args: string[]) => string {
    const config = `/srv/${site}/config.yaml`;
    run("mkdir", "-p", `/srv/${site}/www`);
    box.write(`/srv/${site}/www/index.html`, "<h1>hello</h1>");
    box.write(`/srv/${site}/main.key`, "0f".repeat(32));
    run("chmod", "600", `/srv/${site}/main.key`);
    box.write(config, configOf(site, schedule));
    const backupctl = (...args: string[]): string => run(BACKUPCTL, ...args, "--config", config);
    backupctl("init");
    return backupctl;
  }

  async function hasRun(backupctl: (...args: string[]) => string): Promise<void> {
    for (;;) {
      const [schedule] = listSchema.parse(JSON.parse(backupctl("schedule", "list", "--json"))).schedules;
      if (schedule?.last_status === "completed") return;
      if (schedule?.last_status === "failed") throw new Error(JSON.stringify(schedule));
      await sleep(500);
    }
  }

  test(
    "has systemd make a backup, confined as it is, and nothing is left when that is taken back",
    async () => {
      const backupctl = makeSite("shop", "often");

      backupctl("schedule", "install", "--systemd");
      expect(run("systemctl", "list-timers", "--all")).toContain("backupctl-shop-often.timer");
      await hasRun(backupctl);
      expect(run("systemctl", "show", "-p", "Result", "backupctl-shop-often.service")).toBe("Result=success\n");
      backupctl("verify", "latest");
      backupctl("schedule", "check");

      backupctl("schedule", "uninstall", "--systemd");
      expect(run("systemctl", "list-timers", "--all")).not.toContain("backupctl");
      expect(run("find", "/etc/systemd/system", "-name", "backupctl*")).toBe("");
    },
    TIMEOUT_MS,
  );

  test(
    "has cron make a backup, beside what else is in the crontab",
    async () => {
      const backupctl = makeSite("blog", "always");
      box.write("/srv/blog/crontab", "# mine\n0 5 * * * true\n");
      run("crontab", "/srv/blog/crontab");

      backupctl("schedule", "install", "--cron");
      expect(run("crontab", "-l")).toMatch(
        /^# mine\n0 5 \* \* \* true\n# BEGIN backupctl .*\n\* \* \* \* \* env .*\n# END/,
      );
      run("systemctl", "start", "cron");
      await hasRun(backupctl);
      backupctl("verify", "latest");

      backupctl("schedule", "uninstall", "--cron");
      expect(run("crontab", "-l")).toBe("# mine\n0 5 * * * true\n");
    },
    TIMEOUT_MS,
  );
});
