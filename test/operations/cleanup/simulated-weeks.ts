import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { z } from "zod";
import { nextRun } from "../../../src/domain/schedule/times.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import type { Storage, StoredObject } from "../../../src/storage/storage.ts";
import { addFile, openSite, withStorages } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { DAY_MS } from "./aged-site.ts";

const FOLDERS = { local: "repository", second: "second", vault: "vault" };

export interface Course {
  /** Clocks go forward in the second week. */
  readonly start: Date;
  readonly weeks: number;
  readonly storages: Readonly<Record<string, "replica" | "archive">>;
  readonly rules: string;
}

const metadataSchema = z.object({ mode: z.string(), timestamp: z.iso.datetime() });

/** Simulates it, then does all of it, and looks at the end of each day at what lies in the storages. */
export async function compare({ start, weeks, storages, rules }: Course) {
  let now = new Date(start.getTime() - 2 * 3_600_000);
  const clock = { now: () => now, monotonicMs: () => performance.now() };
  const site = await openSite({ clock, storages, more: `timezone: Europe/Berlin\nworkers: 1${rules}` });
  const dates = new Map<string, Date>();
  const operations = await withStorages(site, (storage) => datedStorage(storage, clock.now, dates));
  await operations.create({ ...NO_CHOICES, mode: "full" });
  now = new Date(start.getTime() - 3_600_000);
  addFile(site, "changes", 20_000);
  await operations.create({ ...NO_CHOICES, mode: "incremental" });
  now = start;
  const { days: said, cleanups } = await operations.simulateCleanup(weeks * 7 * DAY_MS);

  const refused: { readonly at: Date; readonly brake: unknown }[] = [];
  for (const [i, day] of said.entries()) {
    const removed = new Map<string, number>();
    const clean = async (): Promise<void> => {
      const done = await cleanUp(operations);
      if ("brake" in done) refused.push({ at: now, brake: done.brake });
      else for (const [name, count] of done.removed) removed.set(name, count);
    };
    for (const { at, name, operation } of runsBetween(site.session.loaded.config.schedules, now, day.at)) {
      now = at;
      if (operation === "cleanup") {
        await clean();
        continue;
      }
      addFile(site, "changes", 20_000);
      expect(await operations.runSchedule({ name, ifDue: true })).toMatchObject({ ran: true, exitCode: 0 });
    }
    now = day.at;
    if (cleanups.length === 0) await clean();
    for (const { name, bytes, ...simulated } of day.storages) {
      const stored = storedIn(join(site.directory, FOLDERS[name as keyof typeof FOLDERS]));
      const { bytes: storedBytes, ...counted } = stored;
      expect({ name, removed: removed.get(name) ?? 0, ...counted }, `day ${i}`).toEqual({ name, ...simulated });
      if (counted.backups === 0) continue;
      expect(bytes / storedBytes).toBeGreaterThan(0.9);
      expect(bytes / storedBytes).toBeLessThan(1.1);
    }
  }
  return { said, refused, operations };
}

type Schedules = Parameters<typeof nextRun>[0];

/** In the order of their times. */
function runsBetween(
  schedules: readonly { readonly name: string; readonly operation: string; readonly timing: Schedules }[],
  from: Date,
  to: Date,
) {
  const runs: { readonly at: Date; readonly name: string; readonly operation: string }[] = [];
  for (const { name, operation, timing } of schedules) {
    for (let at = nextRun(timing, from); at <= to; at = nextRun(timing, at)) runs.push({ at, name, operation });
  }
  return runs.sort((a, b) => a.at.getTime() - b.at.getTime());
}

/** How many it removed, by storage; or why it was refused. */
async function cleanUp(operations: Operations) {
  const { brakes } = await operations.planCleanup();
  const cleaning = operations.cleanup({ force: false, lockWaitMs: 0 });
  if (brakes[0] !== undefined) {
    await expect(cleaning).rejects.toMatchObject({ code: "RETENTION_POLICY_VIOLATION" });
    return { brake: brakes[0] };
  }
  const { storages } = await cleaning;
  expect(storages.flatMap(({ failure, notRemoved }) => [failure ?? [], notRemoved].flat())).toEqual([]);
  return { removed: new Map(storages.map(({ name, removed }) => [name, removed.length])) };
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
