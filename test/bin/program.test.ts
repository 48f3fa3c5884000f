import { spawnSync } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { tempDir } from "../helpers/temp-dir.ts";

const MAIN = join(import.meta.dirname, "../../dist/main.cjs");

/** The files that the built program reads to run with these arguments. */
function filesLoaded(args: readonly string[]): readonly string[] {
  const hook = join(tempDir(), "hook.mjs");
  writeFileSync(
    hook,
    `import { registerHooks } from "node:module"; import { writeSync } from "node:fs";
registerHooks({ load(url, context, next) { writeSync(2, "LOADED " + url + "\\n"); return next(url, context); } });`,
  );
  const { stderr, status } = spawnSync(process.execPath, ["--import", hook, MAIN, ...args], { encoding: "utf8" });
  expect(status).toBe(0);
  return [...stderr.matchAll(/^LOADED (file:.*)$/gm)].map(([, url = ""]) => fileURLToPath(url));
}

test("the built program starts from few files, without the languages that zod speaks", () => {
  const files = filesLoaded(["config", "schema"]);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);

  expect(files.filter((file) => file.includes("node_modules"))).toEqual([]);
  expect(files.length).toBeLessThan(70);
  expect(bytes).toBeLessThan(1_000_000);
});

test("a run that waits for what never comes has failed", () => {
  const hook = join(tempDir(), "hook.cjs");
  writeFileSync(hook, `require("node:fs").promises.readFile = () => new Promise(() => {});`);
  const options = { encoding: "utf8", cwd: tempDir() } as const;
  const { stderr, status } = spawnSync(process.execPath, ["--require", hook, MAIN, "list", "-c", "any.yaml"], options);

  expect({ stderr, status }).toEqual({ stderr: expect.stringContaining("nothing left to wait for"), status: 1 });
});

test("a current directory that was removed is an error in words", () => {
  const script = 'cd "$1" && rmdir "$1" && exec "$2" "$3" list';
  const args = ["-c", script, "sh", tempDir(), process.execPath, MAIN];
  const { stderr, status } = spawnSync("sh", args, { encoding: "utf8" });

  expect({ stderr, status }).toEqual({
    stderr: expect.stringMatching(/^error: USAGE: .* removed\nhint: .*\n$/),
    status: 2,
  });
});
