import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempDir } from "../helpers/temp-dir.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

/** What the program imports, by package, when it runs with these arguments. */
function packagesLoaded(args: readonly string[]): ReadonlySet<string> {
  const hook = join(tempDir(), "hook.mjs");
  writeFileSync(
    hook,
    `import { registerHooks } from "node:module"; import { writeSync } from "node:fs";
registerHooks({ load(url, context, next) { writeSync(2, "LOADED " + url + "\\n"); return next(url, context); } });`,
  );
  const { stderr } = spawnSync(process.execPath, ["--import", hook, MAIN, ...args], { encoding: "utf8" });
  const names = [...stderr.matchAll(/^LOADED .*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)].map(
    ([, name]) => name ?? "",
  );
  return new Set(names);
}

test.each([["--help"], ["help", "create"], ["create", "--help"], ["--version"], ["completion", "bash"]])(
  "%s %s loads no package but the parser of arguments",
  (...args) => {
    expect([...packagesLoaded(args)]).toEqual(["commander"]);
  },
);

test("a reader that goes away is no failure", () => {
  const output = execFileSync("bash", ["-c", `set -o pipefail; "$0" "$1" --help | head -1`, process.execPath, MAIN], {
    encoding: "utf8",
  });

  expect(output).toContain("Encrypted, verified backups");
});

test("without a configuration it says how to get one, in text and in JSON", () => {
  const home = tempDir();
  const start = (...args: readonly string[]) =>
    spawnSync(process.execPath, [MAIN, ...args], {
      cwd: home,
      env: { HOME: home, PATH: process.env.PATH },
      encoding: "utf8",
    });

  const text = start("list");
  const json = start("list", "--json");

  expect(text).toMatchObject({ status: 2, stdout: "" });
  expect(text.stderr).toMatch(/^error: CONFIG_NOT_FOUND: .*\nhint: Run `backupctl init`/);
  expect(json).toMatchObject({ status: 2, stdout: "" });
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "CONFIG_NOT_FOUND", exit_code: 2 } });
});
