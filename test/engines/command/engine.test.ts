import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openEngine } from "../../../src/engines/command/engine.ts";
import { options } from "../../../src/engines/command/options.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { collectDump, engineContext, engineSuite, restoreDump } from "../../suites/engine-suite.ts";

const node = process.execPath;
const engineWith = (given: Record<string, unknown>) => openEngine(options.parse(given), {});
const script = (code: string) => [node, "-e", code];

engineSuite("command", async (directory) => {
  const pidFile = join(directory, "pid");
  const target = join(directory, "restored");
  return {
    engine: engineWith({ command: script("process.stdout.write('setting\\n'.repeat(50_000))") }),
    kind: "output",
    elsewhere: { to: target },
    sourceContent: async () => "setting\n".repeat(50_000),
    restoredContent: async () => readFileSync(target, "utf8"),
    failing: [
      {
        name: "exits with 3 after half its output",
        engine: engineWith({ command: script("process.stdout.write('half'); process.exitCode = 3") }),
      },
      { name: "prints nothing", engine: engineWith({ command: ["true"] }) },
      { name: "does not exist", engine: engineWith({ command: "no-such-program-here" }) },
      { name: "takes too long", engine: engineWith({ command: ["sleep", "60"], timeout: "1s" }) },
      {
        name: "is ended by a signal",
        engine: engineWith({
          command: script("process.stdout.write('x', () => process.kill(process.pid, 'SIGKILL'))"),
        }),
      },
    ],
    endless: {
      engine: engineWith({ command: ["sh", "-c", `echo $$ > ${pidFile}; exec sleep 600`] }),
      child: async () => {
        for (;;) {
          const pid = Number.parseInt(readIfThere(pidFile), 10);
          if (pid > 0) return pid;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      },
    },
  };
});

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

describe("the command engine", () => {
  it("splits a text at its spaces and uses no shell", async () => {
    const { bytes } = await collectDump(engineWith({ command: "echo  $HOME ;id" }), await engineContext(tempDir()));

    expect(bytes.toString()).toBe("$HOME ;id\n");
  });

  it("gives the program its variables and its folder", async () => {
    const directory = tempDir();
    const engine = engineWith({
      command: ["sh", "-c", 'printf "%s %s" "$API_TOKEN" "$PWD"'],
      env: { API_TOKEN: "t" },
      working_directory: directory,
    });

    const { bytes } = await collectDump(engine, await engineContext(tempDir()));

    expect(bytes.toString()).toBe(`t ${directory}`);
  });

  it("takes an empty output where the config allows it", async () => {
    const { bytes, summary } = await collectDump(
      engineWith({ command: ["true"], allow_empty: true }),
      await engineContext(tempDir()),
    );

    expect(bytes.length).toBe(0);
    expect(summary.entries).toEqual([{ name: "suite-source.out", type: "output", offset: 0, size: 0 }]);
  });

  it("starts the program that the config's tools name", async () => {
    const engine = openEngine(options.parse({ command: ["exporter", "-e", "console.log('by tools')"] }), {
      exporter: node,
    });

    expect((await collectDump(engine, await engineContext(tempDir()))).bytes.toString()).toBe("by tools\n");
  });

  it("restores through its restore_command, which gets every byte", async () => {
    const directory = tempDir();
    const target = join(directory, "imported");
    const engine = engineWith({ command: ["printf", "a\\000b"], restore_command: ["sh", "-c", `cat > ${target}`] });
    const dumped = await collectDump(engine, await engineContext(directory));

    const outcome = await restoreDump(engine, dumped, {}, await engineContext(directory), { pieceBytes: 1 });

    expect(readFileSync(target, "latin1")).toBe("a\0b");
    expect(outcome.checks).toEqual([
      { name: "restore_command", passed: true, detail: "sh was given 3 bytes and ended with code 0" },
    ]);
  });

  it("never starts the restore_command with a cut input", async () => {
    const directory = tempDir();
    const target = join(directory, "imported");
    const engine = engineWith({ command: ["echo", "0123456789"], restore_command: ["sh", "-c", `cat > ${target}`] });
    const dumped = await collectDump(engine, await engineContext(directory));

    await expect(restoreDump(engine, dumped, {}, await engineContext(directory), { breakAfter: 0.5 })).rejects.toThrow(
      "broke off",
    );
    expect(() => statSync(target)).toThrow("ENOENT");
  });

  it("reports a restore_command that fails", async () => {
    const directory = tempDir();
    const engine = engineWith({
      command: ["echo", "x"],
      restore_command: ["sh", "-c", "cat > /dev/null; echo no such theme >&2; exit 4"],
    });
    const dumped = await collectDump(engine, await engineContext(directory));

    await expect(restoreDump(engine, dumped, {}, await engineContext(directory))).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringMatching(/suite-source.*exited with code 4: no such theme/),
    });
  });

  it("says before a restore that without restore_command only --to and download are left", async () => {
    const directory = tempDir();
    const engine = engineWith({ command: ["echo", "x"] });
    const dumped = await collectDump(engine, await engineContext(directory));

    const state = await engine.inspectTarget({ entries: dumped.summary.entries }, await engineContext(directory));

    expect(state.refusal).toMatch(/--to.*backupctl download/);
    await expect(restoreDump(engine, dumped, {}, await engineContext(directory))).rejects.toMatchObject({
      code: "RESTORE_FAILED",
    });
  });

  it("takes the restore_command of a target", async () => {
    const directory = tempDir();
    const target = join(directory, "staging");
    const engine = engineWith({ command: ["echo", "x"] });
    const dumped = await collectDump(engine, await engineContext(directory));

    await restoreDump(
      engine,
      dumped,
      { overrides: { restore_command: ["sh", "-c", `cat > ${target}`] } },
      await engineContext(directory),
    );

    expect(readFileSync(target, "utf8")).toBe("x\n");
  });

  it("restores into a folder under the artifact's name, readable by its owner only", async () => {
    const directory = tempDir();
    const engine = engineWith({ command: ["echo", "x"] });
    const dumped = await collectDump(engine, await engineContext(directory));

    await restoreDump(engine, dumped, { to: `${directory}/new/` }, await engineContext(directory));

    const file = join(directory, "new", "suite-source.out");
    expect(readFileSync(file, "utf8")).toBe("x\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("replaces a file with --overwrite, keeping its mode", async () => {
    const directory = tempDir();
    const file = join(directory, "settings.json");
    writeFileSync(file, "old", { mode: 0o640 });
    const engine = engineWith({ command: ["echo", "new"] });
    const dumped = await collectDump(engine, await engineContext(directory));

    await restoreDump(engine, dumped, { to: file }, await engineContext(directory), { overwrite: true });

    expect(readFileSync(file, "utf8")).toBe("new\n");
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });
});
