import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeCliSite } from "../helpers/cli-site.ts";
import { cliEnvironment, LAUNCHER } from "../helpers/run-cli.ts";
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

test("a configuration with every type of storage is checked without the packages that reach them", () => {
  const directory = tempDir();
  const login = { host: "backup.example.com", user: "backup", password: "secret", path: "/site" };
  const config = {
    state_dir: join(directory, "state"),
    storages: {
      s3: { type: "s3", bucket: "example-backups" },
      gcs: { type: "gcs", bucket: "example-backups" },
      azure: { type: "azure", account: "examplebackups", container: "backups" },
      sftp: { type: "sftp", ...login },
      ftp: { type: "ftp", ...login },
    },
    encryption: { enabled: false },
    sources: { www: { engine: "files", paths: [directory] } },
  };
  writeFileSync(join(directory, "backup.config.yaml"), JSON.stringify(config));

  const loaded = packagesLoaded(["config", "validate", "--config", join(directory, "backup.config.yaml")]);

  expect(loaded).toContain("zod");
  expect([...loaded].filter((name) => /aws|azure|google|ssh2|ftp/.test(name))).toEqual([]);
});

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

test.each([["--help"], ["--version"], ["completion", "bash"], ["config", "show", "--json"]])(
  "what a full disk does not take of %s %s is a failure",
  (...args) => {
    const directory = tempDir();
    const config = join(directory, "backup.config.yaml");
    const storages = { local: { type: "local", path: directory } };
    const sources = { www: { engine: "files", paths: [directory] } };
    writeFileSync(config, JSON.stringify({ storages, encryption: { enabled: false }, sources }));
    const full = openSync("/dev/full", "w");
    const env = { ...process.env, BACKUPCTL_CONFIG: config };

    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
      ...{ env, encoding: "utf8", stdio: ["ignore", full, "pipe"] },
    });
    closeSync(full);

    expect(stderr).toMatch(/OUTPUT_FAILED.*standard output did not take .*ENOSPC/);
    expect(status).toBe(1);
  },
);

test("what is written to a standard output that is closed is a failure, too", async () => {
  const directory = tempDir();
  const site = await makeCliSite("  numbers: {engine: command, command: [seq, '100000']}", directory);
  await site.run("create");
  const closed = (...args: readonly string[]) =>
    spawnSync("sh", ["-c", 'exec "$0" "$@" >&-', LAUNCHER, ...args, "--config", site.configFile], {
      env: cliEnvironment(directory),
      encoding: "utf8",
    });

  const said = closed("list");
  const written = closed("download", "latest");

  expect(said.stderr).toMatch(/OUTPUT_FAILED.*standard output did not take .*EBADF/);
  expect(said.stderr).toMatch(/hint: .*closed/);
  expect(said.status).toBe(1);
  expect(written.stderr).toMatch(/"numbers" can't be written to standard output \(EBADF\)/);
  expect(written.stderr).toMatch(/hint: .*closed/);
  expect(written.status).toBe(1);
});
