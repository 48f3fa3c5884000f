import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const EXAMPLES = join(import.meta.dirname, "../../examples");
const KEY = "0f".repeat(32);
/** What the examples take from files on the machine that they are for. */
const SECRETS: Readonly<Record<string, string>> = {
  "etc/backupctl/key": KEY,
  "etc/backupctl/passphrase": "six words that nobody would guess",
  "etc/backupctl/postgres-password": "secret",
  "run/secrets/backup-key": KEY,
  "run/secrets/database-password": "secret",
};

test.each(["site.config.yaml", "container/config.yaml"])(
  "examples/%s is right, and its repository can be made",
  async (name) => {
    const directory = tempDir();
    for (const folder of ["etc/backupctl", "run/secrets", "mnt/backup", "mnt/office-nas"]) {
      mkdirSync(join(directory, folder), { recursive: true });
    }
    for (const [file, text] of Object.entries(SECRETS)) writeFileSync(join(directory, file), text, { mode: 0o600 });
    const example = readFileSync(join(EXAMPLES, name), "utf8");
    const config = join(directory, "config.yaml");
    writeFileSync(config, example.replaceAll(/(?<=[ [])\/(?=etc|run|mnt|srv)/g, `${directory}/`));
    const options = { home: directory, env: { BACKUPCTL_STATE_DIR: join(directory, "state") } };

    const validated = await runCli(["config", "validate", "--config", config], options);
    const initialised = await runCli(["init", "--config", config], options);

    expect(validated).toMatchObject({ exitCode: 0, stderr: "" });
    expect(initialised).toMatchObject({ exitCode: 0, stderr: "" });
  },
);
