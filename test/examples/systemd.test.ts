import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run, words } from "../cli/harness.ts";

const FOLDER = join(import.meta.dirname, "../../examples/systemd");
const TIMERS = readdirSync(FOLDER).filter((name) => name.endsWith(".timer"));

test("there is a timer for full and for incremental backups", () => {
  expect(TIMERS).toEqual(["backupctl-full.timer", "backupctl-incremental.timer"]);
});

test.each(TIMERS)("%s starts a unit that runs a command the program takes", async (timer) => {
  const unit = setting(readFileSync(join(FOLDER, timer), "utf8"), "Unit");
  const [, template = "", instance = ""] = /^(.*@)(.*)(?=\.service$)/.exec(unit) ?? [];
  const service = readFileSync(join(FOLDER, `${template}.service`), "utf8");
  const command = setting(service, "ExecStart").replaceAll("%i", instance);

  const result = await run(words(command).slice(1));

  expect(result.stderr).not.toContain("error:");
  expect(result.exitCode).toBe(0);
  expect(result.requestOf("create")).toMatchObject({ mode: instance });
});

function setting(unit: string, key: string): string {
  const value = new RegExp(`^${key}=(.*)$`, "m").exec(unit)?.[1];
  if (value === undefined) throw new Error(`there is no ${key}= in\n${unit}`);
  return value;
}
