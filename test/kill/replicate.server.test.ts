import { readdirSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { noise } from "../helpers/bytes.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { expectNoLeavings, expectWholeBackups, nextRun } from "./after-the-kill.ts";
import { filesBelow, type KillSite, makeKillSite } from "./killed-program.ts";

describe("a replicate that is killed", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  let site: KillSite;
  beforeAll(async () => {
    site = await makeKillSite(directory);
    await site.run("create", "--storage", "local");
    writeFileSync(path.join(directory, "www/new"), noise(300_000, 2));
    await site.run("create", "--mode", "incremental", "--storage", "local");
    site.keep();
  });

  it("before any of its effects, or at any moment, leaves whole copies or none, and goes on in the next run", async () => {
    for (const kill of await site.kills(["replicate"])) {
      await kill.run();
      await said(kill.what, expectGoesOn);
    }
  });

  async function expectGoesOn(): Promise<void> {
    await nextRun(site, async (operations) => {
      await operations.rebuildCatalog();
      await expectWholeBackups(operations);
      const { storages } = await operations.replicate({ to: [], dryRun: false, lockWaitMs: 0 });
      expect(storages.map(({ lag }) => lag.backups)).toEqual([0, 0]);
      await expectWholeBackups(operations);
    });
    await expectNoLeavings(site);
    for (const folder of readdirSync(path.join(directory, "repository")).filter((name) => name === "full"))
      expect(filesBelow(path.join(directory, "replica", folder))).toEqual(
        filesBelow(path.join(directory, "repository", folder)),
      );
  }
});
