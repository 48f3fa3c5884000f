import { mkdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { runCli } from "../helpers/run-cli.ts";
import { said } from "../helpers/said.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { makeKillSite } from "./killed-program.ts";

it("an init that is killed is finished by the next one, with the key that it has made", {
  timeout: 36_000_000,
}, async () => {
  const directory = tempDir();
  const site = await makeKillSite(directory);
  const anew = path.join(directory, "target/anew");
  mkdirSync(anew);
  site.keep();
  const config = ["--config", path.join(anew, "backup.config.yaml")];
  const init = ["init", "--storage-path", path.join(anew, "backups"), ...config];
  const key = (): string | undefined => {
    try {
      return readFileSync(path.join(anew, "backupctl.key"), "utf8");
    } catch {
      return undefined;
    }
  };

  for (const kill of await site.kills(init)) {
    await kill.run();
    await said(kill.what, async () => {
      const made = key();
      expect(made ?? "none").toMatch(/^none$|^[0-9a-f]{64}\n$/);
      expect(await runCli(init, { home: directory })).toMatchObject({ exitCode: 0 });
      if (made !== undefined) expect(key()).toBe(made);
      const again = await runCli(["storage", "check", "main", ...config], { home: directory });
      expect(again).toMatchObject({ exitCode: 0 });
    });
  }
});
