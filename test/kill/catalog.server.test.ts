import { rmSync } from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { said } from "../helpers/said.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { createNext, expectNoLeavings, expectWholeBackups, goodBackups, nextRun } from "./after-the-kill.ts";
import { makeKillSite } from "./killed-program.ts";

it("a catalog that was killed while it was made anew is whole for the next run", { timeout: 36_000_000 }, async () => {
  const directory = tempDir();
  const site = await makeKillSite(directory);
  const made = await nextRun(site, async (operations) => [
    await createNext(operations, "full"),
    await createNext(operations),
  ]);
  rmSync(path.join(directory, "state"), { recursive: true });
  site.keep();
  const rebuild = ["catalog", "rebuild"];

  for (const kill of await site.kills(rebuild)) {
    await kill.run();
    await said(kill.what, async () => {
      await nextRun(site, async (operations) => {
        const known = await goodBackups(operations);
        expect(known.map(({ id }) => id).sort()).toEqual(made.map(({ id }) => id).sort());
        await expectWholeBackups(operations);
      });
      await expectNoLeavings(site);
    });
  }
});
