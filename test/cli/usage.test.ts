import { describe, expect, test } from "vitest";
import { fakeConfig } from "./fakes.ts";
import { run } from "./harness.ts";

describe("bad input ends with exit status 2, a message that names it, and a hint", () => {
  test.each<[line: string, message: RegExp, hint: RegExp]>([
    ["cerate", /there is no command "cerate"/, /backupctl create/],
    ["frobnicate", /there is no command "frobnicate"/, /backupctl help/],
    ["config shwo", /there is no command "config shwo"/, /backupctl config show/],
    ["help frobnicate", /there is no command "frobnicate"/, /backupctl help/],
    ["list --tpye database", /list has no option --tpye/, /Did you mean --type\?/],
    ["create --no-encrpyt", /create has no option --no-encrpyt/, /--no-encrypt/],
    ["help restore --yes", /help has no option --yes/, /help --help/],
    ["create -x", /create has no option -x/, /create --help/],
    ["list --limit 0", /--limit "0" is not a whole number from 1/, /--limit N: /],
    ["list --limit ten", /--limit "ten"/, /--limit N: /],
    ["list --offset -1", /--offset "-1"/, /--offset/],
    ["list --limit 5 --per-page 6", /--limit was given as "5" and "6"/, /once/],
    ["list --page 2 --offset 20", /--page and --offset contradict/, /out/],
    ["list --type", /--type has no value/, /list --help/],
    ["list --type --limit", /--type has no value/, /between --type and --limit/],
    ["list extra", /list takes no argument/, /list --help/],
    ["create --retention-days -5", /--retention-days "-5"/, /--retention-days N: keep/],
    ["create --retention-days 0", /--retention-days "0"/, /--retention-days/],
    ["create --compression-level 20", /--compression-level "20"/, /1 to 19 for zstd, 1 to 9 for gzip/],
    ["create --verify deep", /--verify "deep" is not known/, /--no-verify/],
    ["create --class hourly", /--class "hourly" is not known/, /weekly/],
    ["create --lock-wait soon", /--lock-wait "soon" is not a duration/, /15m/],
    ["create --component database,,files", /--component has an empty name/, /--component A,B/],
    ["create --type ''", /--type is empty/, /leave it out/],
    ["show", /show needs BACKUP/, /show --help/],
    ["show 550e 660e", /one argument, BACKUP/, /show --help/],
    ["show 550e --backup-id 660e", /one BACKUP, not 550e and 660e/, /show --help/],
    ["verify", /verify needs a backup/, /verify latest/],
    ["verify latest --all", /takes one of BACKUP, --last and --all/, /--last 24h/],
    ["verify latest --deep --quick", /contradict/, /out/],
    ["restore", /needs to know which backup/, /--latest/],
    ["restore 550e --latest", /one of the backup 550e and --latest/, /out/],
    ["restore 550e --timestamp 2026-01-11T10:30:00Z", /one of the backup 550e and --timestamp/, /out/],
    ["restore --timestamp 2026-01-11T10:30:00", /has no time zone/, /Z/],
    ["restore --timestamp yesterday", /is not a point in time/, /ISO 8601/],
    ["restore latest --max-gap 1h", /--max-gap needs --timestamp/, /--timestamp TIME/],
    ["restore latest --to /a --target b", /--to and --target contradict/, /out/],
    ["restore latest --delete", /--delete needs --overwrite/, /--overwrite/],
    ["delete 550e --force", /--force needs --reason/, /--reason/],
    ["hold 550e", /hold needs --reason/, /--reason/],
    ["completion tcsh", /no completion for "tcsh"/, /bash, zsh, fish/],
  ])("%s", async (line, message, hint) => {
    const result = await run(line);

    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toMatch(/^error: USAGE: /);
    expect(result.stderr.split("\n")[0]).toMatch(message);
    expect(result.stderr.split("\n")[1]).toMatch(hint);
    expect(result.calls.filter(({ name }) => name !== "close")).toEqual([]);
  });

  test("as JSON where --json is anywhere on the line", async () => {
    for (const line of ["--json list --limt 3", "list --limt 3 --json", "--json frobnicate"]) {
      const result = await run(line);

      expect(result.exitCode).toBe(2);
      expect(result.stdout).toBe("");
      expect(result.jsonError()).toEqual({
        error: {
          code: "USAGE",
          message: expect.any(String),
          hint: expect.any(String),
          exit_code: 2,
          data: null,
        },
      });
    }
  });

  test.each(["", "config", "catalog"])("'%s' alone shows what there is, on standard error", async (line) => {
    const result = await run(line);

    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain("Usage: backupctl");
  });
});

describe("every command", () => {
  test("takes the common options before and after its name", async () => {
    const lines = ["--json list", "list --json", "-c x.yaml --json list", "list --json -c x.yaml"];

    for (const line of lines) expect((await run(line)).json()).toMatchObject({ total: 1 });
  });

  test("finds the configuration that --config names", async () => {
    const paths: (string | undefined)[] = [];
    const loadConfig = async ({ path }: { readonly path?: string }) => {
      paths.push(path);
      return fakeConfig();
    };

    await run("list -c a.yaml", { loadConfig });
    await run("--config b.yaml list", { loadConfig });
    await run("list", { loadConfig });

    expect(paths).toEqual(["a.yaml", "b.yaml", undefined]);
  });

  test.each([
    ["list", "rescue"],
    ["show latest", "rescue"],
    ["verify latest", "rescue"],
    ["download latest --to out", "rescue"],
    ["restore latest --to out", "rescue"],
    ["create", "strict"],
    ["delete 550e --yes", "strict"],
    ["config validate", "strict"],
  ])("%s loads the configuration in mode %s", async (line, mode) => {
    expect((await run(line)).configModes).toEqual([mode]);
  });

  test("closes what it opened, also after an error", async () => {
    const show = async () => {
      throw new Error("broken");
    };

    expect((await run("list")).calls.at(-1)?.name).toBe("close");
    expect((await run("show latest", { operations: { show } })).calls.at(-1)?.name).toBe("close");
  });

  test("--version", async () => {
    expect(await run("--version")).toMatchObject({ exitCode: 0, stdout: "backupctl 0.1.0\n" });
  });
});
