import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { z } from "zod";
import { nextRun } from "../../../src/domain/schedule/times.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import type { Storage, StoredObject } from "../../../src/storage/storage.ts";
import { addFile, openSite, withStorages } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { DAY_MS } from "./aged-site.ts";

const WEEKS = 4;
/** Clocks go forward in the second week. */
const START = new Date("2026-03-16T00:30:00.000Z");
const FOLDERS = { local: "repository", second: "second" };
const RULES = `timezone: Europe/Berlin
workers: 1
chain: {full_every: 2d}
retention:
  max_delete: 100%
  incremental: 1d
  daily: 3d
  weekly: 4d
  monthly: 5d
  keep_last: 5
  keep_hourly: 12
  keep_daily: 6
  keep_weekly: 2
  storages:
    second: {incremental: 3d, keep_last: 2, keep_daily: 10, keep_weekly: 4}
schedules:
  weekly: {every: monday, at: "02:10"}
  often: {every: 6h, mode: incremental}
`;
const metadataSchema = z.object({ mode: z.string(), timestamp: z.iso.datetime() });

it(`says for ${WEEKS} weeks what is stored after a hundred real backups and each day's real cleanup`, async () => {
  let now = new Date(START.getTime() - 2 * 3_600_000);
  const clock = { now: () => now, monotonicMs: () => performance.now() };
  const site = await openSite({ clock, storages: { second: "replica" }, more: RULES });
  const dates = new Map<string, Date>();
  const operations = await withStorages(site, (storage) => datedStorage(storage, clock.now, dates));
  await operations.create({ ...NO_CHOICES, mode: "full" });
  now = new Date(START.getTime() - 3_600_000);
  addFile(site, "changes", 20_000);
  await operations.create({ ...NO_CHOICES, mode: "incremental" });
  now = START;
  const { days: said } = await operations.simulateCleanup(WEEKS * 7 * DAY_MS);

  let made = 0;
  for (const [i, day] of said.entries()) {
    for (const { at, name } of runsBetween(site.session.loaded.config.schedules, now, day.at)) {
      now = at;
      addFile(site, "changes", 20_000);
      expect(await operations.runSchedule({ name, ifDue: true })).toMatchObject({ ran: true, exitCode: 0 });
      made++;
    }
    now = day.at;
    const removed = await cleanUp(operations);
    for (const { name, bytes, ...simulated } of day.storages) {
      const stored = storedIn(join(site.directory, FOLDERS[name as keyof typeof FOLDERS]));
      const { bytes: storedBytes, ...counted } = stored;
      expect({ name, removed: removed.get(name), ...counted }, `day ${i}`).toEqual({ name, ...simulated });
      expect(bytes / storedBytes).toBeGreaterThan(0.9);
      expect(bytes / storedBytes).toBeLessThan(1.1);
    }
  }

  expect(made).toBeGreaterThan(WEEKS * 7 * 4);
  const verified = await operations.verify({ all: true, deep: false, quick: true, components: [] });
  expect(verified.passed).toBe(true);
}, 600_000);

type Schedules = Parameters<typeof nextRun>[0];

/** In the order of their times. */
function runsBetween(
  schedules: readonly { readonly name: string; readonly timing: Schedules }[],
  from: Date,
  to: Date,
) {
  const runs: { readonly at: Date; readonly name: string }[] = [];
  for (const { name, timing } of schedules) {
    for (let at = nextRun(timing, from); at <= to; at = nextRun(timing, at)) runs.push({ at, name });
  }
  return runs.sort((a, b) => a.at.getTime() - b.at.getTime());
}

/** How many it removed, by storage. */
async function cleanUp(operations: Operations): Promise<ReadonlyMap<string, number>> {
  const { storages } = await operations.cleanup({ force: false, lockWaitMs: 0 });
  expect(storages.flatMap(({ failure, notRemoved }) => [failure ?? [], notRemoved].flat())).toEqual([]);
  return new Map(storages.map(({ name, removed }) => [name, removed.length]));
}

/** What lies in a storage's folder. */
function storedIn(folder: string) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = entries.map(({ parentPath, name }) => join(parentPath, name));
  const made = files
    .filter((file) => file.endsWith("/metadata.json"))
    .map((file) => metadataSchema.parse(JSON.parse(readFileSync(file, "utf8"))));
  return {
    backups: made.length,
    full: made.filter(({ mode }) => mode === "full").length,
    bytes: files.reduce((sum, file) => sum + statSync(file).size, 0),
    oldest: made.map(({ timestamp }) => timestamp).sort()[0],
  };
}

/** Over another one: what is put there is as old as the clock says. */
function datedStorage(inner: Storage, now: () => Date, dates: Map<string, Date>): Storage {
  const dated = <T extends StoredObject | undefined>(object: T): T =>
    object && { ...object, modifiedAt: dates.get(`${inner.name} ${object.key}`) ?? object.modifiedAt };
  return changed(inner, {
    async put(key, bytes, options) {
      const object = await inner.put(key, bytes, options);
      dates.set(`${inner.name} ${key}`, now());
      return dated(object);
    },
    stat: async (key, options) => dated(await inner.stat(key, options)),
    async *list(prefix, options) {
      for await (const object of inner.list(prefix, options)) yield dated(object);
    },
  });
}
