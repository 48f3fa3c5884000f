import { readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { noise } from "../helpers/bytes.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { createNext, expectNoLeavings, expectWholeBackups, goodBackups, nextRun } from "./after-the-kill.ts";
import { type KillSite, makeKillSite } from "./killed-program.ts";

describe("a create that is killed", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  const create = ["create", "--mode", "incremental"];
  let site: KillSite;
  beforeAll(async () => {
    site = await makeKillSite(directory);
    await site.run("create");
    writeFileSync(path.join(directory, "www/new"), noise(300_000, 2));
    site.keep();
  });

  it("before any of its effects, or at any moment, leaves a whole backup or none, and the next run clears up", async () => {
    for (const kill of await site.kills(create)) {
      await kill.run();
      await said(kill.what, expectSound);
    }
  });

  it("whose catalog was lost as well has left nothing after the first full backup behind the grace time", async () => {
    const daysAgo = Date.now() / 1000 - 8 * 86_400;
    for (const kill of await site.kills(create)) {
      await kill.run();
      rmSync(path.join(directory, "state"), { recursive: true });
      for (const file of filesIn(directory, ["repository", "replica"])) utimesSync(file, daysAgo, daysAgo);
      await said(kill.what, async () => {
        await nextRun(site, (operations) => createNext(operations, "full"));
        const rebuilt = await nextRun(site, (operations) => operations.rebuildCatalog());
        expect(rebuilt.unfinished).toBe(0);
        await nextRun(site, expectWholeBackups);
      });
    }
  });

  async function expectSound(): Promise<void> {
    await nextRun(site, async (operations) => {
      await expectWholeBackups(operations);
      const before = await goodBackups(operations);
      await createNext(operations);
      // One that was killed between its storages is whole in one of them.
      const { storages } = await operations.replicate({ to: [], dryRun: false, lockWaitMs: 0 });
      expect(storages.map(({ lag }) => lag.backups)).toEqual([0, 0]);
      await expectWholeBackups(operations);
      // The killed one may turn out to have been complete.
      expect((await goodBackups(operations)).length - before.length).toBeLessThanOrEqual(2);
      const { backups } = await operations.list({ limit: 1000, offset: 0 });
      expect(["completed", "failed"]).toEqual(expect.arrayContaining(backups.map(({ status }) => status)));
    });
    await expectNoLeavings(site);
    const state = filesIn(directory, ["state"]).map((file) => path.basename(file));
    expect(state.filter((name) => name.startsWith(".progress"))).toEqual([]);
  }
});

function filesIn(directory: string, folders: readonly string[]): readonly string[] {
  const entries = folders.flatMap((folder) =>
    readdirSync(path.join(directory, folder), { recursive: true, withFileTypes: true }),
  );
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}
