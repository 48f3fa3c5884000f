import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { changed } from "../../../src/storage/resilient/changed.ts";
import { openSite, WWW, withStorages } from "../../helpers/open-site.ts";
import { runCli } from "../../helpers/run-cli.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const SOURCES = `${WWW}
  data: {engine: sqlite, path: "{dir}/data.db"}
  shop: {engine: postgres, host: 127.0.0.1, port: 1}`;

/** The repository and the key, copied to another machine; nothing else of the site. */
async function siteLost() {
  const site = await openSite({ sources: SOURCES });
  execFileSync(process.execPath, [
    "-e",
    `new (require("node:sqlite").DatabaseSync)(process.argv[1]).exec("create table t(a); insert into t values (1)")`,
    join(site.directory, "data.db"),
  ]);
  await site.create({ sources: ["www", "data"] });
  const folder = tempDir();
  cpSync(site.repositoryDirectory, join(folder, "copy"), { recursive: true });
  cpSync(join(site.directory, "main.key"), join(folder, "KEY"));
  cpSync(join(import.meta.dirname, "../../../recovery/recover.mjs"), join(folder, "copy/recovery/recover.mjs"));
  return { folder, runbook: readFileSync(join(folder, "copy/recovery/README.txt"), "utf8") };
}

describe("the runbook", () => {
  it("gives for each source a command that restores it on another machine", async () => {
    const { folder, runbook } = await siteLost();
    const env = { BACKUP_STORAGE_PATH: join(folder, "copy"), BACKUP_ENCRYPTION_KEY_FILE: join(folder, "KEY") };
    const commands = [...runbook.matchAll(/^ +backupctl (restore latest --source \w+ --to \S+)/gm)].map(([, words]) =>
      (words ?? "").replace("/srv/restored", join(folder, "restored")).split(" "),
    );

    for (const words of commands.slice(0, 2)) {
      expect(await runCli(words, { home: folder, env })).toMatchObject({ exitCode: 0 });
    }

    expect(commands.map((words) => words[3])).toEqual(["www", "data", "shop"]);
    expect(existsSync(join(folder, "restored/data"))).toBe(true);
    expect(readFileSync(findBelow(join(folder, "restored/www"), "index.html"), "utf8")).toBe("<h1>hello</h1>");
    expect(commands[2]?.at(-1)).toBe("shop_restored");
  });

  it("gives commands that restore without backupctl", async () => {
    const { folder, runbook } = await siteLost();
    const commands = [...runbook.matchAll(/^ +node recover\.mjs (list|restore) (.*)$/gm)].map(([, verb, rest]) =>
      `${verb} ${rest}`
        .replace("DIRECTORY-OF-THE-BACKUPS", join(folder, "copy"))
        .replace(" KEY", ` ${join(folder, "KEY")}`)
        .replace("SOURCE", "www")
        .replace("/srv/restored", join(folder, "restored"))
        .split(" "),
    );

    const runs = commands.map((words) =>
      spawnSync(process.execPath, ["recover.mjs", ...words], { cwd: join(folder, "copy/recovery"), env: {} }),
    );

    expect(runs.map(({ status }) => status)).toEqual([0, 0]);
    expect(readFileSync(findBelow(join(folder, "restored"), "index.html"), "utf8")).toBe("<h1>hello</h1>");
  });

  it("replaces one that another host has written at the same moment", async () => {
    const site = await openSite();
    let others = 0;
    const operations = await withStorages(site, (storage) =>
      changed(storage, {
        put: async (key, bytes, options) => {
          if (key === "recovery/README.txt" && others++ < 2)
            await storage.put(key, Buffer.from(`of another ${others}`));
          return storage.put(key, bytes, options);
        },
      }),
    );

    const { warnings } = await operations.create(NO_CHOICES);

    expect(warnings).toEqual([]);
    expect(readFileSync(join(site.repositoryDirectory, "recovery/README.txt"), "utf8")).toContain("backupctl restore");
  });
});

function findBelow(folder: string, name: string): string {
  return execFileSync("find", [folder, "-name", name], { encoding: "utf8" }).trim();
}
