import { beforeAll, describe, expect, it } from "vitest";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { createOf, expectCopies, expectNoLeavings, expectWholeCopies, nextRun } from "./after-the-kill.ts";
import { type KillSite, makeKillSite } from "./killed-program.ts";

const ALL_MAY_GO = "\nretention: {max_delete: 100%}";
/** In the second storage daily backups stay longer: of their chain only the primary's copies go, of the weekly one all. */
const LONGER_IN_SECOND = "\nretention: {max_delete: 100%, storages: {second: {daily: 90d, incremental: 90d}}}";
const OVER = { retentionDays: 0 };

/** What the cleanup has to do, and the storages of what it leaves, the newest backup first. */
const CASES = [
  {
    what: "removes a chain from two storages, and the copies of another from one",
    rules: LONGER_IN_SECOND,
    options: {},
    made: [
      { ...OVER, retentionClass: "weekly" },
      { ...OVER, retentionClass: "weekly", mode: "incremental" },
      { ...OVER, retentionClass: "daily" },
      { ...OVER, mode: "incremental" },
      { retentionClass: "daily" },
    ],
    left: [["local", "second"], ["second"], ["second"]],
  },
  {
    what: "moves a chain from two storages to an archive, overwriting what it removes from one",
    rules: ALL_MAY_GO,
    options: { archive: true, storageOptions: "secure_delete: true" },
    made: [
      { ...OVER, retentionClass: "monthly" },
      { ...OVER, retentionClass: "monthly", mode: "incremental" },
      { retentionClass: "daily" },
    ],
    left: [["local", "second"], ["vault"], ["vault"]],
  },
];

describe.each(CASES)("a cleanup that $what", { timeout: 36_000_000 }, ({ rules, options, made, left }) => {
  const directory = suiteTempDir();
  let site: KillSite;
  let kept: Readonly<Record<string, readonly string[]>>;
  beforeAll(async () => {
    site = await makeKillSite(directory, rules, options);
    const ids = await nextRun(site, async (operations) => {
      const all: string[] = [];
      for (const request of made) all.unshift((await createOf(operations, request)).id);
      // Else what has come to an archive stays as the last one that was verified, after a kill.
      await operations.verify({ reference: "latest", all: false, deep: false, quick: false, components: [] });
      return all;
    });
    kept = Object.fromEntries(left.map((storages, i) => [ids[i], storages]));
    site.keep();
  });

  it("killed before any of its effects, or at any moment, leaves whole backups, and the next one goes on", async () => {
    for (const kill of await site.kills(["cleanup"])) {
      await kill.run();
      await said(kill.what, async () => {
        await nextRun(site, async (operations) => {
          await expectWholeCopies(operations);
          const { storages } = await operations.cleanup({ force: false, lockWaitMs: 0 });
          expect(storages.flatMap(({ failure, notRemoved }) => [failure ?? [], notRemoved].flat())).toEqual([]);
          await expectCopies(operations, kept);
        });
        await expectNoLeavings(site);
      });
    }
  });
});
