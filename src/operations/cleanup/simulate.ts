import { z } from "zod";
import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { ScheduleConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import { parseFiniteDuration } from "../../domain/duration.ts";
import type { KnownBackup } from "../../domain/known-backup.ts";
import { type PlannedRun, simulate } from "../../domain/retention/simulate.ts";
import { nextRun } from "../../domain/schedule/times.ts";
import { selectSources } from "../../domain/selection.ts";
import { BackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import type { CleanupSimulation } from "../operations.ts";
import { dueTimeOf } from "../schedules/history.ts";
import { primaryStorage, type Session, storageDefinition } from "../session.ts";
import { wasRead } from "./archive.ts";
import { placeOf } from "./judge.ts";

const DAY_MS = 86_400_000;
/** Of each kind, for its usual size. */
const RECENT = 10;

/** What a schedule of `create` says of its backups; its times are in the schedule. */
const choicesSchema = z.object({
  type: z.string().optional(),
  mode: z.string().optional(),
  components: z.array(z.string()).default([]),
  sources: z.array(z.string()).default([]),
  categories: z.array(z.string()).default([]),
  retention_days: z.number().optional(),
  full_every: z.string().optional(),
});

/**
 * How the storages would fill, day by day, if every scheduled backup were made, as large as the last ones of its kind, and cleanups ran when
 * their schedules say; each day where there is none. Reads the catalog only. @throws `USAGE` where no schedule makes backups, or there is none yet
 */
export async function simulateCleanup(context: OperationContext, lengthMs: number): Promise<CleanupSimulation> {
  const { session } = context;
  const { config } = session.loaded;
  const catalog = await context.catalog("read");
  const { backups } = catalog.list({});
  const schedulesOf = (wanted: string) =>
    config.schedules.filter(({ operation, enabled }) => operation === wanted && enabled);
  const schedules = schedulesOf("create");
  const cleanups = schedulesOf("cleanup");
  if (schedules.length === 0) {
    throw new BackupctlError("USAGE", "no schedule makes backups, so there is nothing to simulate", {
      hint: "Say under `schedules:` in the config when backups are made: docs/schedules.md.",
    });
  }
  const template = backups.find(({ metadata }) => metadata !== undefined)?.metadata;
  if (template === undefined) {
    throw new BackupctlError("USAGE", "there is no backup yet whose size would say what the next ones take", {
      hint: "Make one with `backupctl create`.",
    });
  }
  const now = session.clock.now();
  const asked = {
    ...{ backups, runs: runsFrom(session, schedules, now), template, bytesOf: usualBytes(backups), now },
    cleanups: cleanups.length === 0 ? daily(now) : cleanupsFrom(cleanups, now),
    maxDeletePercent: config.retention.maxDeletePercent,
    storages: config.storages.map((storage) => placeOf(storage, [])),
    wasRead: (id: BackupId, archive: string) => wasRead(catalog, id, archive),
    primary: primaryStorage(session).name,
    durations: config.retention,
    keepsYears: config.retention.yearly !== undefined,
    maxChain: config.chain.maxChain,
    sources: config.sources.map(({ name }) => name),
    timezone: config.timezone,
    dueTimeOf: (schedule: string, backup: KnownBackup) => dueTimeOf(catalog.schedules, schedule, backup),
  };
  const days = Math.round(lengthMs / DAY_MS);
  return {
    schedules: schedules.map(({ name }) => name),
    cleanups: cleanups.map(({ name }) => name),
    locksUnknown: config.storages
      .filter(({ type }) => storageDefinition(session, type).knowsLocks === true)
      .map(({ name }) => name),
    sizesUnknown: modesOf(session, schedules).filter((wanted) =>
      backups.every(({ committed, mode }) => !committed || mode !== wanted),
    ),
    days: simulate(asked, days),
  };
}

function* runsFrom(session: Session, schedules: readonly ScheduleConfig[], from: Date): Generator<PlannedRun> {
  const planned = schedules.map((schedule) => ({ timing: schedule.timing, plan: planOf(session, schedule) }));
  for (const { item, at, next } of timesFrom(planned, from)) yield { ...item.plan, at, next };
}

function* cleanupsFrom(schedules: readonly ScheduleConfig[], from: Date): Generator<Date> {
  for (const { at } of timesFrom(schedules, from)) yield at;
}

function* daily(from: Date): Generator<Date, never> {
  for (let at = from.getTime() + DAY_MS; ; at += DAY_MS) yield new Date(at);
}

/** Of all schedules together, in order, without end. */
function* timesFrom<T extends Pick<ScheduleConfig, "timing">>(schedules: readonly T[], from: Date) {
  const waiting = schedules.map((item) => ({ item, at: nextRun(item.timing, from) }));
  for (;;) {
    const first = waiting.reduce((one, each) => (each.at < one.at ? each : one));
    const { item, at } = first;
    first.at = nextRun(item.timing, at);
    yield { item, at, next: first.at };
  }
}

function planOf(
  { loaded, adapters }: Session,
  { name: schedule, options }: ScheduleConfig,
): Omit<PlannedRun, "at" | "next"> {
  const { retention_days: retentionDays, full_every, ...choices } = choicesSchema.parse(options);
  const selection = selectSources({
    ...{ ...choices, tables: [], configured: loaded.config.sources },
    takesTables: ({ engine }) => adapters.engines[engine]?.takesTables === true,
  });
  const fullEvery = full_every === undefined ? loaded.config.chain.fullEvery : parseFiniteDuration(full_every);
  const sources = selection.sources.map(({ name }) => name);
  return { schedule, type: selection.type, mode: selection.mode, sources, retentionDays, fullEvery };
}

/** In which they make backups; each begins with a full one. */
function modesOf(session: Session, schedules: readonly ScheduleConfig[]): readonly string[] {
  return [...new Set(["full", ...schedules.map((schedule) => planOf(session, schedule).mode)])];
}

/** The mean of the last of that type and mode; of that mode, where that type has none; nothing where nothing tells. */
function usualBytes(backups: readonly CatalogBackup[]): (type: string, mode: string) => number {
  const known = new Map<string, number>();
  const meanOf = (type: string | undefined, mode: string): number | undefined => {
    const alike = backups.filter((each) => each.committed && each.mode === mode && (type ?? each.type) === each.type);
    const sizes = alike.slice(0, RECENT).map(({ outline }) => outline?.stored_size ?? 0);
    return sizes.length === 0 ? undefined : sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  };
  return (type, mode) => {
    const kind = `${type} ${mode}`;
    const bytes = known.get(kind) ?? Math.round(meanOf(type, mode) ?? meanOf(undefined, mode) ?? 0);
    known.set(kind, bytes);
    return bytes;
  };
}
