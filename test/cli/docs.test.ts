import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withGeneratedParts } from "../../scripts/cli-docs.ts";
import { COMMANDS } from "../../src/cli/commands/all.ts";
import { run, words } from "./harness.ts";

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../docs/cli.md"), "utf8");

test("docs/cli.md is what `node scripts/generate-cli-docs.ts` writes", () => {
  expect(DOCUMENT).toBe(withGeneratedParts(DOCUMENT));
});

describe("every key of --json is in docs/cli.md", () => {
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
    "download latest --to out --json",
    "init --json",
    "catalog rebuild --json",
    "storage list --json",
    "storage check main --json",
    "config validate --json",
  ])("%s", async (line) => {
    const value = (await run(line)).json();

    expect(Object.keys(Object(value)).filter((key) => !DOCUMENT.includes(`\`${key}\``))).toEqual([]);
  });
});

test("every example of the help is a line that the program takes", async () => {
  for (const { examples } of COMMANDS) {
    for (const { command } of examples) {
      const line = command.replace(/^eval "\$\((.*)\)"$/, "$1").replace(/ [|>].*$/, "");
      const [program, ...args] = words(line);
      expect(program).toBe("backupctl");
      const result = await run([...args, ...(["delete", "restore"].includes(args[0] ?? "") ? ["--yes"] : [])]);
      expect(result.stderr).not.toContain("error:");
      expect(result.exitCode).toBe(0);
    }
  }
});
