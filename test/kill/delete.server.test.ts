import { beforeAll, describe, expect, it } from "vitest";
import { isBackupctlError } from "../../src/errors.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { createNext, expectNoLeavings, expectWholeBackups, goodBackups, nextRun } from "./after-the-kill.ts";
import { type KillSite, makeKillSite } from "./killed-program.ts";

const CASES = [
  { what: "", storageOptions: "" },
  { what: ", overwriting what it removes,", storageOptions: "secure_delete: true" },
];

describe.each(CASES)("a delete$what that is killed", { timeout: 36_000_000 }, ({ storageOptions }) => {
  const directory = suiteTempDir();
  let site: KillSite;
  let full: string;
  let command: readonly string[];
  beforeAll(async () => {
    site = await makeKillSite(directory, "", { storageOptions });
    full = await nextRun(site, async (operations) => {
      const { id } = await createNext(operations, "full");
      await createNext(operations);
      await createNext(operations, "full");
      return id;
    });
    command = ["delete", full, "--with-descendants", "--force", "--reason", "test", "--yes"];
    site.keep();
  });

  it("before any of its effects, or at any moment, leaves whole backups, and goes on when it is asked again", async () => {
    for (const kill of await site.kills(command)) {
      await kill.run();
      await said(kill.what, expectGoesOn);
    }
  });

  async function expectGoesOn(): Promise<void> {
    await nextRun(site, async (operations) => {
      await expectWholeBackups(operations);
      const request = { reference: full, withDescendants: true, force: true, reason: "test", lockWaitMs: 0 };
      try {
        await operations.delete(request, await operations.planDelete(request));
      } catch (error) {
        if (!isBackupctlError(error, "BACKUP_NOT_FOUND")) throw error;
      }
      const { backups } = await operations.list({ limit: 10, offset: 0 });
      const good = await goodBackups(operations);
      // Killed when the full one was gone already, nothing of it is left to be named.
      expect(backups.map(({ status, mode }) => `${status} ${mode}`)).toEqual(["completed full"]);
      expect(good).toHaveLength(1);
      await expectWholeBackups(operations);
    });
    await expectNoLeavings(site);
  }
});
