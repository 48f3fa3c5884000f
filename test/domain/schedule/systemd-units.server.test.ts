import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { unitFiles } from "../../../src/domain/schedule/systemd-units.ts";
import { LAUNCHER } from "../../helpers/run-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { requireOrSkip } from "../../servers/requirements.ts";

function units(changes: Partial<Parameters<typeof unitFiles>[0]> = {}) {
  return unitFiles({
    owner: "/etc/backupctl/config.yaml",
    site: "Shop of 100% Müller",
    schedule: "nightly",
    timing: { cron: "30 2 1,15 * 0", timezone: "Europe/Berlin" },
    command: [LAUNCHER, "schedule", "run", "nightly", "--config", `/srv/it's "50%" $HOME/config.yaml`],
    environment: { BACKUPCTL_STATE_DIR: "/var/lib/back up $x" },
    user: false,
    now: new Date("2026-01-10T12:00:00Z"),
    ...changes,
  });
}

function written(files: ReturnType<typeof units>): readonly string[] {
  const directory = tempDir();
  return files.map(({ name, text }) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  });
}

function analyze(...args: readonly string[]) {
  return spawnSync("systemd-analyze", args, {
    encoding: "utf8",
    env: { ...process.env, XDG_RUNTIME_DIR: tempDir(), SYSTEMD_COLORS: "0" },
  });
}

describe.runIf(requireOrSkip("systemd-analyze"))("the units of a schedule", () => {
  test("systemd finds nothing wrong with, whatever is in the names", () => {
    for (const cron of ["* * * * *", "30 2 1,15 * 0", "*/15 * * * *"]) {
      const { status, stdout, stderr } = analyze(
        "verify",
        "--man=no",
        ...written(units({ timing: { cron, timezone: "Europe/Berlin" } })),
      );

      expect(stdout + stderr).toBe("");
      expect(status).toBe(0);
    }
  });

  test("are well confined", () => {
    const [service = ""] = written(units());

    expect(analyze("security", "--offline=true", "--threshold=45", service)).toMatchObject({ status: 0 });
  });

  test("of a user ask for nothing that a user's manager may not", () => {
    const [service] = units({ user: true });

    expect(service?.text).not.toMatch(/^(Protect|Private|Capability)/m);
    expect(analyze("--user", "verify", "--man=no", ...written(units({ user: true })))).toMatchObject({ stderr: "" });
  });

  test("of a schedule that is soon due again are late by less", () => {
    const delayOf = (cron: string): string | undefined =>
      /RandomizedDelaySec=(\d+)/.exec(units({ timing: { cron, timezone: "UTC" } })[1]?.text ?? "")?.[1];

    expect(["* * * * *", "*/15 * * * *", "0 2 * * *"].map(delayOf)).toEqual(["15", "225", "300"]);
  });

  test("are named after site and schedule", () => {
    const nameOf = (site: string): string | undefined => units({ site })[0]?.name;

    expect(nameOf("Shop of 100% Müller")).toBe("backupctl-shop-of-100-m-ller-nightly.service");
    expect(nameOf("…")).toBe("backupctl-site-nightly.service");
  });
});
