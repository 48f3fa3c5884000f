import { describe, expect, it } from "vitest";
import type { SimulatedDay } from "../../../src/domain/retention/simulate.ts";
import { agedSite, DAY_MS, ROOMY } from "./aged-site.ts";

const RULES = `timezone: UTC\nretention:${ROOMY}`;

/** Of one storage, the number of backups and of full ones at the end of each day. */
function countsIn(storage: string, days: readonly SimulatedDay[]) {
  return days.map(({ storages }) => {
    const { backups, full } = storages.find(({ name }) => name === storage) ?? {};
    return [backups, full];
  });
}

describe("cleanup --simulate", () => {
  it("adds up what the schedules will make, as large as the last ones, and removes nothing", async () => {
    const { site, made } = await agedSite({
      storages: { second: "replica", vault: "archive" },
      more: `${RULES}
schedules:
  nightly: {every: day, at: "02:00", retention_days: 3}
  noon: {every: day, at: "12:00", mode: incremental, full_every: 30d, retention_days: 1}
  off: {every: 15m, enabled: false}
  check: {every: monday, at: "04:00", operation: verify, backups: all}
`,
    });
    await made(2);
    await made(1, { mode: "incremental" });
    const before = (await site.operations.list({ limit: 9, offset: 0 })).backups;
    const [incremental, full] = before.map(({ storedBytes }) => storedBytes ?? 0);

    const { schedules, days, sizesUnknown } = await site.operations.simulateCleanup(5 * DAY_MS);

    expect(schedules).toEqual(["nightly", "noon"]);
    expect(sizesUnknown).toEqual([]);
    expect(countsIn("second", days)).toEqual(countsIn("local", days));
    expect(countsIn("vault", days)).toEqual(days.map(() => [0, 0]));
    const counts = countsIn("local", days);
    expect(counts[0]).toEqual([4, 2]);
    // The two that there are, those of three nights, and the last one of noon.
    expect(counts.at(-1)).toEqual([6, 4]);
    expect(days[0]?.storages[0]?.bytes).toBe(2 * ((full ?? 0) + (incremental ?? 0)));
    expect((await site.operations.list({ limit: 9, offset: 0 })).backups).toEqual(before);
  });

  it("takes what was never made for as large as others of its mode, and for nothing where there are none", async () => {
    const { site, made } = await agedSite({
      more: `${RULES}
schedules:
  files: {every: day, at: "02:00", components: [files]}
  often: {every: 12h, mode: incremental}
`,
    });
    await made(1);
    const [full] = (await site.operations.list({ limit: 1, offset: 0 })).backups;

    const { days, sizesUnknown } = await site.operations.simulateCleanup(DAY_MS);

    expect(sizesUnknown).toEqual(["incremental"]);
    expect(days).toHaveLength(1);
    expect(days[0]?.storages[0]).toMatchObject({ backups: 4, bytes: 2 * (full?.storedBytes ?? 0) });
  });

  it("removes what was read in an archive, without bringing it there again", async () => {
    const { site, made } = await agedSite({
      storages: { vault: "archive" },
      more: `${RULES}\nschedules: {nightly: {every: day, at: "02:00"}}`,
    });
    const reference = await made(60, { retentionClass: "monthly", retentionDays: 14 });
    const newer = await made(1);
    await site.operations.replicate({ reference, to: ["vault"], dryRun: false, lockWaitMs: 0 });
    const whole = { all: false, deep: false, quick: false, components: [] };
    await site.operations.verify({ ...whole, reference, storage: "vault" });
    await site.operations.verify({ ...whole, reference: newer });

    const { days } = await site.operations.simulateCleanup(3 * DAY_MS);

    expect(countsIn("local", days)).toEqual([2, 3, 4].map((count) => [count, count]));
    expect(countsIn("vault", days)).toEqual(days.map(() => [1, 1]));
  });

  it.each([
    ["no schedule makes backups", "schedules: {off: {every: day, at: '02:00', enabled: false}}", /^no schedule/],
    ["there is no backup yet", "schedules: {nightly: {every: day, at: '02:00'}}", /^there is no backup yet/],
  ])("is refused where %s", async (_, schedules, message) => {
    const { site } = await agedSite({ more: `${RULES}\n${schedules}` });

    await expect(site.operations.simulateCleanup(DAY_MS)).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/./),
    });
  });
});
