import * as fs from "node:fs";
import * as path from "node:path";
import { expect, test } from "vitest";
import { forge } from "../../helpers/forge.ts";
import { FORGERIES } from "../../helpers/forgeries.ts";
import { openPool } from "../../helpers/format-run.ts";
import { runCli } from "../../helpers/run-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const FIXTURE = path.join(import.meta.dirname, "../../fixtures/format-v1/open-zstd");
const DIRECTORY = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";

test("a root that names what the metadata does not is found", async () => {
  const forgery = FORGERIES.find(({ what }) => what.includes("an artifact of its own backup"));
  const home = tempDir();
  const repository = path.join(home, "repository");
  fs.cpSync(FIXTURE, repository, { recursive: true });
  const notes = { directory: DIRECTORY, source: "notes" };
  await forge(repository, notes, { root: forgery?.root ?? ((lines) => lines) }, { pool: openPool(), directory: home });
  const config = path.join(home, "backup.config.yaml");
  const storage = `storages: {disk: {type: local, path: ${repository}}}`;
  fs.writeFileSync(config, `${storage}\nstate_dir: ${home}/state\nencryption: {enabled: false}\n`);

  const { exitCode, stdout, stderr } = await runCli(["verify", "8e24a759", "--config", config], { home });

  expect(exitCode).toBe(4);
  expect(stdout + stderr).toContain("which metadata.json does not");
});
