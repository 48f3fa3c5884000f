import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { tempDir } from "../helpers/temp-dir.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Says of each of the program's files whether V8 took the code that was kept of it. */
const HOOK = `const vm = require("node:vm");
vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    process.stderr.write((options.cachedData !== undefined && !this.cachedDataRejected) + "\\n");
  }
};`;

/** Ends the program in the middle of what it writes. */
const KILLED = `
const fs = require("node:fs");
const { writeFileSync } = fs;
fs.writeFileSync = (file, bytes) => {
  writeFileSync(file, bytes.subarray(0, bytes.length / 2));
  process.kill(process.pid, "SIGKILL");
};`;

/** A program of its own, that has not run yet. */
function install() {
  const folder = tempDir();
  cpSync(join(ROOT, "dist"), join(folder, "dist"), {
    recursive: true,
    filter: (path) => !path.includes(".compile-cache"),
  });
  cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  // Both keep Node from keeping code; vitest sets one while it measures coverage.
  const env = { ...process.env, NODE_V8_COVERAGE: undefined, NODE_DISABLE_COMPILE_CACHE: undefined };
  const cache = join(folder, "dist/.compile-cache");
  return {
    folder,
    cache,
    run(args: readonly string[], more = "") {
      writeFileSync(join(folder, "hook.cjs"), HOOK + more);
      const command = ["--require", join(folder, "hook.cjs"), join(folder, "dist/main.cjs"), ...args];
      const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8", env });
      return { status, stdout, took: new Set(stderr.trim().split("\n")) };
    },
    start: (args: readonly string[]) =>
      spawn(process.execPath, [join(folder, "dist/main.cjs"), ...args], { env, stdio: "ignore" }),
    kept: (command = "config") => join(cache, readdirSync(cache)[0] ?? "", command),
  };
}

describe("code of earlier runs", () => {
  test("is kept by the first run of a command and taken by the next, which keeps nothing more", () => {
    const program = install();
    const first = program.run(["config", "schema"]);
    const file = program.kept();
    const { mtimeNs } = statSync(file, { bigint: true });
    const second = program.run(["config", "schema"]);

    expect(first).toEqual({ status: 0, stdout: expect.stringContaining("json-schema.org"), took: new Set(["false"]) });
    expect(second).toEqual({ ...first, took: new Set(["true"]) });
    expect(statSync(file, { bigint: true }).mtimeNs).toBe(mtimeNs);
  });

  test("is kept by a run that lasts, before it ends", async () => {
    const program = install();
    const config = join(program.folder, "backup.config.yaml");
    const storages = { main: { type: "local", path: join(program.folder, "repo") } };
    const sources = { slow: { engine: "command", command: ["sleep", "60"] } };
    const state = {
      version: 1,
      name: "shop",
      state_dir: join(program.folder, "state"),
      encryption: { enabled: false },
    };
    writeFileSync(config, JSON.stringify({ ...state, storages, sources }));
    program.run(["init", "--config", config]);
    const create = program.start(["create", "--config", config]);
    await vi.waitFor(() => expect(existsSync(program.kept("create"))).toBe(true), { timeout: 30_000, interval: 100 });
    create.kill("SIGINT");
    await once(create, "exit");

    expect(program.run(["create", "--config", config, "--dry-run"]).took).toContain("true");
  });

  test("is kept as well of what only a later run loads", () => {
    const program = install();
    program.run(["config", "schema"]);
    const more = program.run(["config", "--help"]);
    const again = program.run(["config", "--help"]);

    expect([more.status, again.status]).toEqual([0, 0]);
    expect(again.took).toEqual(new Set(["true"]));
    expect(program.run(["config", "schema"]).took).toEqual(new Set(["true"]));
  });

  test.each([
    ["cut", (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ["cut in its head", (bytes: Buffer) => bytes.subarray(0, 10)],
    ["emptied", () => Buffer.alloc(0)],
    ["zeroed", (bytes: Buffer) => Buffer.alloc(bytes.length)],
    [
      "changed in a bit",
      (bytes: Buffer) => bytes.fill((bytes[bytes.length >> 1] ?? 0) ^ 1, bytes.length >> 1, (bytes.length >> 1) + 1),
    ],
  ])("that was %s is made anew", (_, damage) => {
    const program = install();
    const sound = program.run(["config", "schema"]);
    const file = program.kept();
    writeFileSync(file, damage(readFileSync(file)));

    expect(program.run(["config", "schema"])).toEqual(sound);
    expect(program.run(["config", "schema"])).toEqual({ ...sound, took: new Set(["true"]) });
  });

  test("leaves nothing that grows with each run that is killed while it writes", () => {
    const program = install();
    program.run(["config", "schema"]);
    const kept = program.kept();
    const files = readdirSync(dirname(kept));
    rmSync(kept);

    for (let kill = 0; kill < 2; kill++) expect(program.run(["config", "schema"], KILLED).status).toBe(null);

    expect(readdirSync(dirname(kept))).toEqual(files);
    program.run(["config", "schema"]);
    expect(program.run(["config", "schema"]).took).toEqual(new Set(["true"]));
  });

  test("is done without where it can't be written", () => {
    const program = install();
    const sound = program.run(["config", "schema"]);
    const file = program.kept();
    rmSync(file);
    mkdirSync(file);

    expect(program.run(["config", "schema"])).toEqual(sound);
    rmSync(program.cache, { recursive: true });
    writeFileSync(program.cache, "");
    expect(program.run(["config", "schema"])).toMatchObject({ status: 0, stdout: sound.stdout });
  });

  test("has no import of a built file that is not a require: kept code has no such thing", () => {
    const built = readdirSync(join(ROOT, "dist")).filter((name) => name.endsWith(".cjs"));
    const imports = built.filter((name) => /await \(?import\(/.test(readFileSync(join(ROOT, "dist", name), "utf8")));

    expect(imports).toEqual([]);
  });
});
