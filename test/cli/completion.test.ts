import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tempDir } from "../helpers/temp-dir.ts";
import { run } from "./harness.ts";

async function bashScript(): Promise<string> {
  const file = join(tempDir(), "backupctl.bash");
  writeFileSync(file, (await run("completion bash")).stdout);
  return file;
}

/** What bash offers for the last word. */
function offered(script: string, line: readonly string[]): readonly string[] {
  const program = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _backupctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", program, "bash", script, "backupctl", ...line], { encoding: "utf8" })
    .split("\n")
    .filter((word) => word !== "");
}

describe("bash completes", () => {
  test.each([
    [["cre"], ["create"]],
    [
      ["config", ""],
      ["validate", "show", "schema"],
    ],
    [["catalog", "re"], ["rebuild"]],
    [
      ["create", "--comp"],
      ["--component", "--compress", "--compression-level"],
    ],
    [["create", "--no-enc"], ["--no-encrypt"]],
    [
      ["create", "--mode", ""],
      ["full", "incremental", "differential"],
    ],
    [["create", "--mode", "full", "--class", "mo"], ["monthly"]],
    [["--json", "list", "--status", "part"], ["partial"]],
    [["-c", "site.yaml", "cre"], ["create"]],
    [["--config", "site.yaml", "list", "--status", "part"], ["partial"]],
    [["completion", "z"], ["zsh"]],
    [["help", "rest"], ["restore"]],
  ])("%j", async (line, words) => {
    expect(offered(await bashScript(), line)).toEqual(words);
  });

  test("a path with a space as one word", async () => {
    const folder = join(tempDir(), "two words");
    mkdirSync(folder);

    expect(offered(await bashScript(), ["restore", "--to", folder.slice(0, -3)])).toEqual([folder]);
  });

  test("no hidden spelling", async () => {
    expect(offered(await bashScript(), ["restore", "--"])).not.toContain("--backup-id");
  });
});

test.each([
  ["zsh", ["-n"]],
  ["fish", ["--no-execute"]],
] as const)(
  "the script for %s is made of every command, and sound where that shell is installed",
  async (shell, check) => {
    const { stdout, exitCode } = await run(`completion ${shell}`);
    const file = join(tempDir(), shell);
    writeFileSync(file, stdout);
    const checked = spawnSync(shell, [...check, file], { encoding: "utf8" });

    expect(exitCode).toBe(0);
    expect(stdout).toContain("with-descendants");
    expect(stdout).not.toContain("backup-id");
    if (checked.error === undefined) expect(checked).toMatchObject({ status: 0, stderr: "" });
  },
);
