import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeCliSite } from "../helpers/cli-site.ts";
import { LAUNCHER } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const GLIBC_LOADERS: Readonly<Record<string, string>> = {
  x64: "/lib64/ld-linux-x86-64.so.2",
  arm64: "/lib/ld-linux-aarch64.so.1",
};
const usesBundledNode = process.platform === "linux" && existsSync(GLIBC_LOADERS[process.arch] ?? "");
const LITTLE_MEMORY = "--max-semi-space-size=2 --min-semi-space-size=2";
const bundledPackage = `node-linux-${process.arch}`;

function writeProgram(path: string, says: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "${says}" "$@"\n`);
  chmodSync(path, 0o755);
}

interface Installed {
  readonly root: string;
  readonly launcher: string;
  run(launcher: string, env?: Record<string, string>, args?: string[]): { status: number | null; output: string };
}

/** A package folder with the launcher, an empty program, and a system node that is first on PATH. */
function install(...folders: string[]): Installed {
  const dir = tempDir();
  const root = join(dir, ...folders);
  const launcher = join(root, "bin/backupctl");
  mkdirSync(join(root, "bin"), { recursive: true });
  mkdirSync(join(root, "dist"));
  copyFileSync(LAUNCHER, launcher);
  writeFileSync(join(root, "dist/main.cjs"), "");
  writeProgram(join(dir, "system/node"), "system");
  return {
    root,
    launcher,
    run: (path, env = {}, args = []) => {
      const PATH = `${join(dir, "system")}:${process.env.PATH}`;
      const { status, stdout, stderr } = spawnSync(path, args, { env: { PATH, ...env }, encoding: "utf8" });
      return { status, output: (stdout + stderr).trim() };
    },
  };
}

describe("the launcher", () => {
  test("starts the system's node with the program and the arguments as they were", () => {
    const { root, launcher, run } = install("backupctl");

    expect(run(launcher, {}, ["a b", ""]).output).toBe(`system ${LITTLE_MEMORY} ${root}/dist/main.cjs a b`);
  });

  test("gives a restore more memory for what is young, and nothing else that has this word", () => {
    const { root, launcher, run } = install("backupctl");

    expect(run(launcher, {}, ["restore", "latest"]).output).toMatch(
      new RegExp(`^system --max-semi-space-size=16 .*${root}/dist/main.cjs restore latest$`),
    );
    expect(run(launcher, {}, ["create", "--tags", "restore"]).output).toContain(LITTLE_MEMORY);
  });

  test("prefers BACKUPCTL_NODE, a path or a name", () => {
    const { root, launcher, run } = install("backupctl");
    writeProgram(join(root, "own/my-node"), "own");

    expect(run(launcher, { BACKUPCTL_NODE: join(root, "own/my-node") }).output).toBe(
      `own ${LITTLE_MEMORY} ${root}/dist/main.cjs`,
    );
    expect(run(launcher, { BACKUPCTL_NODE: "node" }).output).toBe(`system ${LITTLE_MEMORY} ${root}/dist/main.cjs`);
  });

  test("refuses a BACKUPCTL_NODE that is no program", () => {
    const { launcher, run } = install("backupctl");

    const { status, output } = run(launcher, { BACKUPCTL_NODE: "/nowhere/node" });

    expect(status).toBe(2);
    expect(output).toContain("BACKUPCTL_NODE is not a program: /nowhere/node");
  });

  test.runIf(usesBundledNode)("finds the Node of its own node_modules, and one beside the package", () => {
    const own = install("backupctl");
    writeProgram(join(own.root, "node_modules", bundledPackage, "bin/node"), "bundled");
    const beside = install("node_modules", "backupctl");
    writeProgram(join(beside.root, "..", bundledPackage, "bin/node"), "hoisted");

    expect(own.run(own.launcher).output).toBe(`bundled ${LITTLE_MEMORY} ${own.root}/dist/main.cjs`);
    expect(beside.run(beside.launcher).output).toBe(`hoisted ${LITTLE_MEMORY} ${beside.root}/dist/main.cjs`);
  });

  test("follows symbolic links, relative and absolute, one after another", () => {
    const { root, launcher, run } = install("a folder", "backupctl");
    mkdirSync(join(root, "../.bin"));
    symlinkSync("../backupctl/bin/backupctl", join(root, "../.bin/backupctl"));
    symlinkSync(join(root, "../.bin/backupctl"), join(root, "../link"));

    expect(run(join(root, "../link")).output).toBe(`system ${LITTLE_MEMORY} ${root}/dist/main.cjs`);
    expect(run("/bin/sh", {}, [launcher]).output).toBe(`system ${LITTLE_MEMORY} ${root}/dist/main.cjs`);
  });

  test("is found in the current directory by its name alone", () => {
    const { root } = install("backupctl");

    const { stdout } = spawnSync("sh", ["backupctl"], {
      cwd: join(root, "bin"),
      encoding: "utf8",
      env: { PATH: `${join(root, "../system")}:${process.env.PATH}` },
    });

    expect(stdout.trim()).toBe(`system ${LITTLE_MEMORY} ${root}/dist/main.cjs`);
  });

  test("says how to build a program that is not built", () => {
    const { root, launcher, run } = install("backupctl");
    rmSync(join(root, "dist/main.cjs"));

    const { status, output } = run(launcher);

    expect(status).toBe(1);
    expect(output).toMatch(/not built: .*\/dist\/main\.cjs is missing[\s\S]*npm ci.*npm run build/);
  });

  test("says that no Node was found", () => {
    const { root, launcher } = install("backupctl");

    const { status, stderr } = spawnSync("/bin/sh", [launcher], { env: { PATH: join(root, "bin") }, encoding: "utf8" });

    expect(status).toBe(1);
    expect(stderr).toContain("no Node found");
  });

  test("keeps its own settings from the tools that the program calls", async () => {
    const site = await makeCliSite(`  seen: {engine: command, command: ["env"]}`);

    await site.run("create");
    await site.run("restore", "latest", "--source", "seen", "--to", join(site.directory, "seen"));
    const seen = readFileSync(join(site.directory, "seen"), "utf8");

    expect(seen).toContain("PATH=");
    expect(seen).not.toContain("MALLOC_");
  });
});
