import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LAUNCHER } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const FOLDER = join(import.meta.dirname, "../../examples/systemd");

describe.runIf(requireOrSkip("systemd-analyze"))("examples/systemd", () => {
  test("systemd finds nothing wrong with the units", () => {
    const directory = copyWithLauncher();

    const { status, stdout, stderr } = analyze("verify", "--man=no", ...filesIn(directory));

    expect(stdout + stderr).toBe("");
    expect(status).toBe(0);
  });

  test("systemd counts the service among the well confined", () => {
    const directory = copyWithLauncher();

    const { status, stdout } = analyze(
      "security",
      "--offline=true",
      "--threshold=35",
      join(directory, "backupctl@.service"),
    );

    expect(stdout).toMatch(/Overall exposure level .*: [0-3]\.\d OK/);
    expect(status).toBe(0);
  });
});

/** systemd looks whether the program of a unit is there. */
function copyWithLauncher(): string {
  const directory = tempDir();
  for (const name of readdirSync(FOLDER)) {
    const text = readFileSync(join(FOLDER, name), "utf8");
    writeFileSync(join(directory, name), text.replaceAll("/usr/local/bin/backupctl", LAUNCHER));
  }
  return directory;
}

function filesIn(directory: string): readonly string[] {
  return readdirSync(directory).map((name) => join(directory, name));
}

function analyze(...args: readonly string[]) {
  return spawnSync("systemd-analyze", args, { encoding: "utf8", env: { ...process.env, SYSTEMD_COLORS: "0" } });
}
