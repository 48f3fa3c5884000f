import { describe, expect, test } from "vitest";
import { BackupctlError, type ErrorCode, EXIT_CODES } from "../../src/errors.ts";
import { run } from "./harness.ts";

const CODES = Object.keys(EXIT_CODES) as ErrorCode[];

function failing(error: unknown) {
  return {
    operations: {
      show: async () => {
        throw error;
      },
    },
  };
}

describe("an expected error", () => {
  test.each(CODES)("%s is printed with its code and hint, and ends with its exit status", async (code) => {
    const error = new BackupctlError(code, 'backup "x" is broken', { hint: "Do this." });

    const text = await run("show latest", failing(error));
    const json = await run("show latest --json", failing(error));

    expect(text).toMatchObject({
      exitCode: EXIT_CODES[code],
      stdout: "",
      stderr: `error: ${code}: backup "x" is broken\nhint: Do this.\n`,
    });
    expect(json).toMatchObject({ exitCode: EXIT_CODES[code], stdout: "" });
    expect(json.jsonError()).toEqual({
      error: { code, message: 'backup "x" is broken', hint: "Do this.", exit_code: EXIT_CODES[code], data: null },
    });
  });

  test("carries its facts to JSON, and its causes to --verbose only", async () => {
    const error = new BackupctlError("TOOL_FAILED", "pg_dump failed", {
      data: { tool: "pg_dump" },
      cause: new Error("line one\nline two"),
    });

    expect((await run("show latest --json", failing(error))).jsonError()).toMatchObject({
      error: { data: { tool: "pg_dump" }, hint: null },
    });
    expect((await run("show latest", failing(error))).stderr).not.toContain("line one");
    expect((await run("show latest -v", failing(error))).stderr).toContain(
      "  because: line one\n  because: line two\n",
    );
  });

  test("has a line of its own for each of several problems, whatever is in them", async () => {
    const error = new BackupctlError("CONFIG_INVALID", "config.yaml has 2 problems", {
      lines: ["line 1: bad", "line 2: a\nb"],
      hint: "Correct it.",
    });

    expect((await run("show latest", failing(error))).stderr).toBe(
      "error: CONFIG_INVALID: config.yaml has 2 problems\n  line 1: bad\n  line 2: a\\x0ab\nhint: Correct it.\n",
    );
  });

  test("has one line for its hint, whatever the operator's own words in it are", async () => {
    const error = new BackupctlError("CONFIG_NOT_FOUND", "no a\nerror: b", {
      hint: "See a\nerror: STORAGE_FAILED: b.",
    });

    expect((await run("show latest", failing(error))).stderr).toBe(
      "error: CONFIG_NOT_FOUND: no a\\x0aerror: b\nhint: See a\\x0aerror: STORAGE_FAILED: b.\n",
    );
  });

  test("shows no secret and drives no terminal", async () => {
    const error = new BackupctlError("STORAGE_FAILED", "url ftp://u:hunter22@h\u001b[2J", { hint: "Not hunter22." });

    for (const line of ["show latest", "show latest --json"]) {
      const { stderr } = await run(line, { ...failing(error), secrets: ["hunter22"] });
      expect(stderr).not.toContain("hunter22");
      expect(stderr).not.toContain("\u001b");
    }
  });
});

test("a bug is printed with its stack and a request to report it", async () => {
  const text = await run("show latest", failing(new TypeError("x is not a function")));
  const json = await run("show latest --json", failing(new TypeError("x is not a function")));

  expect(text.exitCode).toBe(1);
  expect(text.stderr).toContain("bug: TypeError: x is not a function");
  expect(text.stderr).toContain("failures.test.ts");
  expect(text.stderr).toContain("Please report it");
  expect(json.jsonError()).toMatchObject({ error: { code: "INTERNAL", exit_code: 1 } });
});

describe("after a signal", () => {
  const reason = new BackupctlError("INTERRUPTED", "interrupted by SIGTERM", { exitCode: 143 });

  test("the exit status is the signal's, whatever the interrupted work throws", async () => {
    for (const error of [
      new BackupctlError("TOOL_FAILED", "pg_dump was killed"),
      new DOMException("aborted", "AbortError"),
      reason,
    ]) {
      const controller = new AbortController();
      const show = async () => {
        controller.abort(reason);
        throw error;
      };

      const result = await run("show latest", { operations: { show }, signal: controller.signal });

      expect(result).toMatchObject({ exitCode: 143, stderr: "error: INTERRUPTED: interrupted by SIGTERM\n" });
      expect(result.calls.at(-1)?.name).toBe("close");
    }
  });

  test("what was completed all the same keeps its status", async () => {
    const signal = AbortSignal.abort(reason);

    expect((await run("show latest", { signal })).exitCode).toBe(0);
  });
});

test("an error while closing is reported, and does not hide the first one", async () => {
  const close = async () => {
    throw new BackupctlError("CATALOG_FAILED", "can't close");
  };

  const alone = await run("list", { operations: { close } });
  const second = await run("show x", {
    operations: { close, ...failing(new BackupctlError("BACKUP_NOT_FOUND", "no x")).operations },
  });

  expect(alone.exitCode).toBe(1);
  expect(second.exitCode).toBe(10);
  expect(second.stderr).toMatch(/BACKUP_NOT_FOUND[\s\S]*CATALOG_FAILED/);
});
