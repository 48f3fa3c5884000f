import { beforeAll, describe, expect, it } from "vitest";
import { isBackupctlError } from "../../src/errors.ts";
import type { Operations } from "../../src/operations/operations.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { createOf, expectNoLeavings, nextRun } from "./after-the-kill.ts";
import { type KillSite, makeKillSite } from "./killed-program.ts";

describe.each([
  { command: "hold", more: ["--reason", "legal case 17"] },
  { command: "unhold", more: [] },
])("$command that is killed", { timeout: 36_000_000 }, ({ command, more }) => {
  const directory = suiteTempDir();
  let site: KillSite;
  let id: string;
  beforeAll(async () => {
    site = await makeKillSite(directory);
    await nextRun(site, async (operations) => {
      ({ id } = await createOf(operations, { retentionDays: 0 }));
      await createOf(operations, {});
      if (command === "unhold") await operations.hold(id, "legal case 17");
    });
    site.keep();
  });

  it("before any of its effects, or at any moment, keeps the backup or not, and it can be let go and deleted", async () => {
    for (const [i, kill] of (await site.kills([command, id, ...more])).entries()) {
      await kill.run();
      const isRebuilt = i % 2 === 1;
      await said(`${kill.what}, the catalog ${isRebuilt ? "made anew" : "as it was"}`, async () => {
        if (isRebuilt) await nextRun(site, (operations) => operations.rebuildCatalog());
        if (!(await nextRun(site, isDeleted))) {
          await nextRun(site, (operations) => operations.unhold(id));
          expect(await nextRun(site, isDeleted)).toBe(true);
        }
        await expectNoLeavings(site);
      });
    }
  });

  async function isDeleted(operations: Operations): Promise<boolean> {
    const request = { reference: id, withDescendants: false, force: false, lockWaitMs: 0 };
    try {
      const { deleted } = await operations.delete(request, await operations.planDelete(request));
      expect(deleted).toEqual([id]);
      return true;
    } catch (error) {
      if (!isBackupctlError(error, "RETENTION_POLICY_VIOLATION")) throw error;
      expect(error.message).toContain("hold");
      return false;
    }
  }
});
