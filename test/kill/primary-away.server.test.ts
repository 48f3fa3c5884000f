import { cpSync, renameSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Operations } from "../../src/operations/operations.ts";
import { noise } from "../helpers/bytes.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { createNext, expectNoLeavings, expectWholeBackups, expectWholeCopies, nextRun } from "./after-the-kill.ts";
import { type KillSite, makeKillSite } from "./killed-program.ts";

const PARTLY_DONE = 3;

describe("a create that goes on in a replica, the primary being away, and is killed", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  const [primary, unplugged] = ["repository", "unplugged"].map((name) => path.join(directory, name)) as [
    string,
    string,
  ];
  let site: KillSite;
  beforeAll(async () => {
    site = await makeKillSite(directory);
    await site.run("create");
    writeFileSync(path.join(directory, "www/new"), noise(300_000, 2));
    renameSync(primary, unplugged);
    site.keep();
  });

  it("leaves a whole backup or none, whether the primary is back in the next run or later", async () => {
    const kills = await site.kills(["create", "--mode", "incremental"], PARTLY_DONE);
    for (const [i, kill] of kills.entries()) {
      const isBackLater = i % 2 === 1;
      await kill.run();
      await said(`${kill.what}, the primary back ${isBackLater ? "later" : "at once"}`, async () => {
        if (isBackLater) await nextRun(site, (operations) => createSound(operations, "local"));
        cpSync(unplugged, primary, { recursive: true, preserveTimestamps: true });
        await nextRun(site, (operations) => createSound(operations));
        await nextRun(site, async (operations) => {
          const { storages } = await operations.replicate({ to: [], dryRun: false, lockWaitMs: 0 });
          expect(storages.map(({ lag }) => lag.backups)).toEqual([0, 0]);
          await expectWholeBackups(operations);
          const { backups } = await operations.list({ limit: 1000, offset: 0 });
          expect(["completed", "failed"]).toEqual(expect.arrayContaining(backups.map(({ status }) => status)));
        });
        await expectNoLeavings(site);
      });
    }
  });
});

async function createSound(operations: Operations, away?: string): Promise<void> {
  await expectWholeCopies(operations, away);
  await createNext(operations);
  await expectWholeCopies(operations, away);
}
