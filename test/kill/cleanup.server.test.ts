import { beforeAll, describe, expect, it } from "vitest";
import type { CreateRequest, Operations } from "../../src/operations/operations.ts";
import { said } from "../helpers/said.ts";
import { NO_CHOICES } from "../helpers/site.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { expectNoLeavings, goodBackups, nextRun } from "./after-the-kill.ts";
import { type KillSite, makeKillSite } from "./killed-program.ts";

/** In the second storage daily backups stay longer: of the chain only copies go, of the weekly one all. */
const RULES = "\nretention: {max_delete: 100%, storages: {second: {daily: 90d, incremental: 90d}}}";

describe("a cleanup that is killed", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  let site: KillSite;
  let kept: readonly string[];
  beforeAll(async () => {
    site = await makeKillSite(directory, RULES);
    kept = await nextRun(site, async (operations) => {
      await made(operations, { retentionClass: "weekly", retentionDays: 0 });
      const base = await made(operations, { retentionClass: "daily", retentionDays: 0 });
      const child = await made(operations, { mode: "incremental", retentionDays: 0 });
      const newest = await made(operations, { retentionClass: "daily" });
      return [newest, child, base];
    });
    site.keep();
  });

  it("before any of its effects, or at any moment, leaves whole backups, and the next one goes on", async () => {
    for (const kill of await site.kills(["cleanup"])) {
      await kill.run();
      await said(kill.what, expectGoesOn);
    }
  });

  async function expectGoesOn(): Promise<void> {
    await nextRun(site, async (operations) => {
      await expectWholeCopies(operations);
      const { storages } = await operations.cleanup({ force: false, lockWaitMs: 0 });
      expect(storages.flatMap(({ failure, notRemoved }) => [failure ?? [], notRemoved].flat())).toEqual([]);
      const { backups } = await operations.list({ limit: 10, offset: 0 });
      expect(backups.map(({ id, status }) => [id, status])).toEqual(kept.map((id) => [id, "completed"]));
      const [newest, ...older] = await Promise.all(kept.map((id) => operations.show(id)));
      expect(newest?.copies.map(({ state }) => state)).toEqual(["complete", "complete"]);
      for (const { copies } of older) {
        expect(copies.map(({ storage, state }) => [storage, state])).toEqual([["second", "complete"]]);
      }
      await expectWholeCopies(operations);
      expect((await operations.verify({ all: true, deep: false, quick: false, components: [] })).passed).toBe(true);
    });
    await expectNoLeavings(site);
  }
});

/** A copy that is half gone says so; every backup has one that is whole. */
async function expectWholeCopies(operations: Operations): Promise<void> {
  for (const { id } of await goodBackups(operations)) {
    const { copies } = await operations.show(id);
    const whole = copies.filter(({ state }) => state === "complete");
    expect(whole).not.toEqual([]);
    for (const { storage } of whole) {
      const one = { reference: id, all: false, deep: false, quick: false, components: [], storage };
      expect((await operations.verify(one)).backups.flatMap(({ issues }) => issues)).toEqual([]);
    }
  }
}

async function made(operations: Operations, request: Partial<CreateRequest>): Promise<string> {
  const { backup } = await operations.create({ ...NO_CHOICES, ...request });
  return backup?.id ?? "";
}
