import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { cliEnvironment, LAUNCHER } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip, SYSTEM_PYTHON } from "../servers/requirements.ts";

/** Says that it runs, and is done as soon as it may. */
const EXPORT = `touch running
while [ ! -e may-end ]; do sleep 0.05; done
echo exported
`;
const listed = z.object({ backups: z.array(z.object({ status: z.string() })) });
const progress = z.object({ status: z.string() });

async function slowSite(): Promise<CliSite> {
  const directory = tempDir();
  writeFileSync(join(directory, "export.sh"), EXPORT);
  return makeCliSite(`  export: {engine: command, command: [sh, export.sh], working_directory: "{dir}"}`, directory);
}

/** Closes the terminal in which the site's `create` runs, started by the shell line that `line` makes of it. */
function closeTerminalOf({ directory, configFile }: CliSite, line: (create: string) => string): void {
  const command = line(`${LAUNCHER} create --config ${configFile}`);
  const script = join(import.meta.dirname, "closed-terminal.py");
  const { status, stderr } = spawnSync(SYSTEM_PYTHON, [script, command, join(directory, "running")], {
    cwd: directory,
    env: { ...cliEnvironment(directory), TERM: "xterm" },
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
}

async function untilDone(site: CliSite): Promise<z.infer<typeof progress>> {
  for (;;) {
    const now = await site.json(progress, ["status"]);
    if (now.status !== "running") return now;
    await sleep(200);
  }
}

const statuses = async (site: CliSite) => (await site.json(listed, ["list"])).backups.map(({ status }) => status);

describe.runIf(requireOrSkip("python3"))("a terminal that is closed", () => {
  test.each([
    ["in it", (create: string) => create],
    ["behind it", (create: string) => `${create} &`],
  ])("ends a create that runs %s, which leaves nothing", async (_, line) => {
    const site = await slowSite();

    closeTerminalOf(site, line);

    expect(await untilDone(site)).toMatchObject({ status: "failed" });
    const left = readdirSync(join(site.directory, "repository"), { recursive: true, encoding: "utf8" });
    expect(left.filter((name) => /(^|\/)(full|trial)/.test(name))).toEqual([]);
    expect(await statuses(site)).toEqual(["failed"]);
  });

  test("leaves alone what nohup has started, and its tools", async () => {
    const site = await slowSite();

    closeTerminalOf(site, (create) => `nohup ${create} &`);
    await sleep(1_000);
    writeFileSync(join(site.directory, "may-end"), "");

    expect(await untilDone(site)).toMatchObject({ status: "completed" });
    expect(existsSync(join(site.directory, "nohup.out"))).toBe(true);
    expect(await statuses(site)).toEqual(["completed"]);
  });
});
