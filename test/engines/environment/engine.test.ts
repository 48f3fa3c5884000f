import { execFileSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openEngine } from "../../../src/engines/environment/engine.ts";
import { options } from "../../../src/engines/environment/options.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { collectDump, engineContext, engineSuite, restoreDump } from "../../suites/engine-suite.ts";

const HOSTILE = {
  APP_PLAIN: "value",
  APP_EMPTY: "",
  APP_QUOTES: `it's "quoted" \`and\` $HOME \\ too`,
  APP_LINES: "first\nsecond\r\n\tthird ",
  APP_UNICODE: "grüße 🌍",
  APP_COMMENT: "# no comment = here",
};

const engineWith = (given: Record<string, unknown>, env: Record<string, string>) =>
  openEngine(options.parse(given), env);

/** What a shell makes of the file: NAME to value. */
function readByShell(file: string): Record<string, string> {
  const out = execFileSync("sh", ["-c", 'set -a; . "$0"; set +a; env -0', file], { env: { PATH: process.env.PATH } });
  const pairs = out
    .toString()
    .split("\0")
    .map((line): [string, string] => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
  return Object.fromEntries(pairs.filter(([name]) => name.startsWith("APP_")));
}

engineSuite("environment", async (directory) => {
  const target = join(directory, "restored.env");
  return {
    engine: engineWith({ variables: ["APP_*"] }, HOSTILE),
    kind: "env",
    elsewhere: { to: target },
    sourceContent: async () => HOSTILE,
    restoredContent: async () => readByShell(target),
    failing: [{ name: "no variable matches", engine: engineWith({ variables: ["OTHER_*", "X"] }, HOSTILE) }],
  };
});

describe("the environment engine", () => {
  it("gives the same bytes for the same variables in any order", async () => {
    const forwards = await collectDump(
      engineWith({ variables: ["*"] }, { A: "1", B: "2" }),
      await engineContext(tempDir()),
    );
    const backwards = await collectDump(
      engineWith({ variables: ["*"] }, { B: "2", A: "1" }),
      await engineContext(tempDir()),
    );

    expect(forwards.bytes.toString()).toBe("A='1'\nB='2'\n");
    expect(backwards.bytes).toEqual(forwards.bytes);
  });

  it("knows the size of what it has handed over", async () => {
    const { bytes, summary } = await collectDump(
      engineWith({ variables: ["LONG"] }, { LONG: "x".repeat(200_000) }),
      await engineContext(tempDir()),
    );

    expect(summary.entries).toMatchObject([{ offset: 0, size: bytes.length }]);
  });

  it("takes only what its names and patterns choose, and warns of those that choose nothing", async () => {
    const env = { APP_A: "1", APP_B1: "2", APPS: "3", DATABASE_URL: "4", HOME: "5" };

    const { bytes, summary } = await collectDump(
      engineWith({ variables: ["APP_?", "APP_B*", "DATABASE_URL", "TYPO_*"] }, env),
      await engineContext(tempDir()),
    );

    expect(bytes.toString()).toBe("APP_A='1'\nAPP_B1='2'\nDATABASE_URL='4'\n");
    expect(summary).toMatchObject({ counts: { variables: 3 }, warnings: ["no environment variable matches TYPO_*"] });
  });

  it("takes this process's own environment", async () => {
    const { bytes } = await collectDump(
      openEngine(options.parse({ variables: ["PATH"] })),
      await engineContext(tempDir()),
    );

    expect(bytes.toString()).toBe(`PATH='${process.env.PATH}'\n`);
  });

  it("is restored to its restore_file, readable by its owner only", async () => {
    const directory = tempDir();
    const file = join(directory, "deep", "app.env");
    const engine = engineWith({ variables: ["APP_*"], restore_file: file }, HOSTILE);
    const dumped = await collectDump(engine, await engineContext(directory));

    await restoreDump(engine, dumped, {}, await engineContext(directory));

    expect(readByShell(file)).toEqual(HOSTILE);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("is readable by its owner only even where it replaces a file that others could read", async () => {
    const file = join(tempDir(), ".env");
    writeFileSync(file, "OLD='1'\n", { mode: 0o644 });
    const engine = engineWith({ variables: ["*"], restore_file: file }, { SECRET: "s" });
    const dumped = await collectDump(engine, await engineContext(tempDir()));

    await restoreDump(engine, dumped, {}, await engineContext(tempDir()), { overwrite: true });

    expect(readFileSync(file, "utf8")).toBe("SECRET='s'\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("refuses to replace a file without --overwrite", async () => {
    const directory = tempDir();
    const file = join(directory, "app.env");
    writeFileSync(file, "mine");
    const engine = engineWith({ variables: ["APP_*"], restore_file: file }, HOSTILE);
    const dumped = await collectDump(engine, await engineContext(directory));

    await expect(restoreDump(engine, dumped, {}, await engineContext(directory))).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
    });
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  it("says before a restore that without a file only --to and download are left", async () => {
    const directory = tempDir();
    const engine = engineWith({ variables: ["APP_*"] }, HOSTILE);
    const dumped = await collectDump(engine, await engineContext(directory));

    const state = await engine.inspectTarget({ entries: dumped.summary.entries }, await engineContext(directory));

    expect(state.refusal).toMatch(/--to.*restore_file.*backupctl download/);
    await expect(restoreDump(engine, dumped, {}, await engineContext(directory))).rejects.toMatchObject({
      code: "RESTORE_FAILED",
    });
  });
});
