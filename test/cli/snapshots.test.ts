import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../src/cli/commands/all.ts";
import { run } from "./harness.ts";

describe("help", () => {
  test("of the program", async () => {
    expect((await run("--help")).stdout).toMatchSnapshot();
  });

  test.each(COMMANDS.map(({ name }) => name))("of %s", async (name) => {
    const { stdout, exitCode } = await run(`${name} --help`);

    expect(exitCode).toBe(0);
    expect(stdout).toMatchSnapshot();
  });

  test("fits 80 columns, but for command lines of examples", async () => {
    for (const { name } of COMMANDS) {
      const { stdout } = await run(`${name} --help`);
      const long = stdout.split("\n").filter((line) => line.length > 80 && !line.startsWith("    $ "));
      expect(long).toEqual([]);
    }
  });
});

describe("JSON", () => {
  test.each([
    "create --json",
    "create --dry-run --json",
    "list --json",
    "show latest --json",
    "status --json",
    "verify latest --json",
    "restore latest --to /tmp/look --json",
    "restore latest --dry-run --json",
    "delete 550e8400 --yes --json",
    "delete 550e8400 --dry-run --json",
    "cleanup --dry-run --json",
    "cleanup --simulate 3d --json",
    "cleanup --json",
    "download latest --to out --json",
    "replicate --dry-run --json",
    "hold 550e8400 --reason x --json",
    "unhold 550e8400 --json",
    "init --json",
    "catalog rebuild --json",
    "storage list --json",
    "storage check main --json",
    "schedule list --json",
    "schedule run nightly --json",
    "schedule install --systemd --json",
    "schedule uninstall --cron --json",
    "config validate --json",
    "config show --json",
  ])("of %s", async (line) => {
    const result = await run(line);

    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    expect(result.json()).toMatchSnapshot();
    expect(keysOf(result.json()).filter((key) => !/^[a-z][a-z0-9_]*$/.test(key))).toEqual([]);
  });
});

/** The keys of every object, however deep; those below `config` are the user's. */
function keysOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(keysOf);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [key, ...(key === "config" ? [] : keysOf(member))]);
}
