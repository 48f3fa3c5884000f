import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { noise } from "../helpers/bytes.ts";
import { makeCliSite } from "../helpers/cli-site.ts";
import { startCli } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** Says when it has begun to read, goes on when it may, and takes the end of its input for the end of the data. */
const IMPORTER = `head -c 65536 > imported.part
touch begun
while [ ! -e may-go-on ]; do sleep 0.05; done
cat >> imported.part
mv imported.part imported
`;

describe("a restore through a restore_command", () => {
  it("leaves the old or the whole when it is killed while the program reads", async () => {
    const directory = tempDir();
    const data = noise(4 * 2 ** 20);
    const at = (name: string) => path.join(directory, name);
    fs.writeFileSync(at("data"), data);
    fs.writeFileSync(at("imported"), "old");
    fs.writeFileSync(at("import.sh"), IMPORTER);
    const site = await makeCliSite(
      `  export: {engine: command, command: [cat, "{dir}/data"], restore_command: [sh, import.sh], working_directory: "{dir}"}`,
      directory,
    );
    expect(await site.run("create")).toMatchObject({ exitCode: 0 });

    const running = startCli(["restore", "latest", "--yes", "--config", site.configFile], { home: directory });
    await untilThere(at("begun"));
    running.child.kill("SIGKILL");
    expect(fs.readFileSync(at("imported"), "utf8")).toBe("old");
    fs.writeFileSync(at("may-go-on"), "");
    expect(await running.result).toMatchObject({ signal: "SIGKILL" });
    await untilGone(at("imported.part"));

    expect(fs.readFileSync(at("imported")).equals(data)).toBe(true);
  });
});

async function untilThere(file: string): Promise<void> {
  while (!fs.existsSync(file)) await sleep(20);
}

async function untilGone(file: string): Promise<void> {
  while (fs.existsSync(file)) await sleep(20);
}
