import type { ScheduleLog, ScheduleRun } from "../../catalog/catalog.ts";
import type { ScheduleConfig } from "../../config/config.ts";
import { missedRuns } from "../../domain/schedule/due.ts";
import { nextRun } from "../../domain/schedule/times.ts";
import { isBackupctlError } from "../../errors.ts";
import { readHolder } from "../../platform/lock.ts";
import type { OperationContext } from "../context.ts";
import type { ScheduleSummary } from "../operations.ts";
import { statePaths } from "../session.ts";
import { historyOf, isRemembered, rememberSchedule, scheduleLock } from "./history.ts";

/** All schedules of the config, with what this host's catalog knows of their runs. */
export async function listSchedules(context: OperationContext): Promise<readonly ScheduleSummary[]> {
  const { session } = context;
  const { schedules } = session.loaded.config;
  if (schedules.length === 0) return [];
  const state = await statePaths(session);
  const now = session.clock.now();
  const log = await rememberedLog(context, schedules, now);
  return Promise.all(
    schedules.map(async (schedule) => {
      const isRunning = (await readHolder(scheduleLock(state, schedule.name))).alive;
      return summaryOf(log, schedule, { now, isRunning });
    }),
  );
}

/** What nothing ever ran is missed as well, from the first time that somebody asks. */
async function rememberedLog(
  context: OperationContext,
  schedules: readonly ScheduleConfig[],
  now: Date,
): Promise<ScheduleLog> {
  const log = (await context.catalog("read")).schedules;
  const unknown = schedules.filter((schedule) => !isRemembered(log, schedule));
  if (unknown.length === 0) return log;
  try {
    const writable = (await context.catalog("write")).schedules;
    for (const schedule of unknown) rememberSchedule(writable, schedule, historyOf(writable, schedule, now));
    return writable;
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    context.session.logger.warn(`what is missed from now on is not known: ${error.message}`);
    return log;
  }
}

function summaryOf(
  log: ScheduleLog,
  schedule: ScheduleConfig,
  { now, isRunning }: { readonly now: Date; readonly isRunning: boolean },
): ScheduleSummary {
  const { name, operation, enabled, timing } = schedule;
  const { runs, ...history } = historyOf(log, schedule, now);
  const alive = runs.map((run) => ({ ...run, status: statusOf(run, isRunning) }));
  const missed = enabled ? missedRuns({ ...history, runs: alive }) : undefined;
  return {
    ...{ name, operation, enabled },
    ...timing,
    next: enabled ? nextRun(timing, now).toISOString() : undefined,
    last: lastOf(log.runs(name, 1)[0], isRunning),
    counts: log.counts(name),
    missed: missed && {
      count: missed.count,
      first: missed.first.toISOString(),
      last: missed.last.toISOString(),
    },
  };
}

function lastOf(run: ScheduleRun | undefined, isRunning: boolean): ScheduleSummary["last"] {
  if (run === undefined) return undefined;
  const { scheduledFor, startedAt, endedAt, summary } = run;
  return { scheduledFor, startedAt, endedAt, summary, status: statusOf(run, isRunning) };
}

/** A run that nobody holds the lock of has died; the next one will write that down. */
function statusOf({ status }: Pick<ScheduleRun, "status">, isRunning: boolean): ScheduleRun["status"] {
  return status === "running" && !isRunning ? "interrupted" : status;
}
