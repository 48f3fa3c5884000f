import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isNodeAtLeast } from "../../src/platform/bundled-node.ts";
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

describe("the Node that it needs", () => {
  test.each<[string, boolean]>([
    ["20.20.2", false],
    ["22.14.0", false],
    ["22.15.0", true],
    ["24.0.0", true],
    ["26.1.0", true],
  ])("%s: %s", (version, enough) => {
    expect(isNodeAtLeast(version, [22, 15])).toBe(enough);
  });
});
