import * as path from "node:path";
import type { ScheduleLog, ScheduleRun } from "../../catalog/catalog.ts";
import type { ScheduleConfig } from "../../config/config.ts";
import type { KnownBackup } from "../../domain/known-backup.ts";
import type { History } from "../../domain/schedule/due.ts";
import { CLOCK_TOLERANCE_MS } from "../../domain/timestamp.ts";
import { BackupctlError } from "../../errors.ts";
import type { Session, StatePaths } from "../session.ts";

export function scheduleNamed({ loaded }: Session, name: string): ScheduleConfig {
  const { schedules } = loaded.config;
  const found = schedules.find((schedule) => schedule.name === name);
  if (found !== undefined) return found;
  const known = schedules.map((schedule) => schedule.name).join(", ");
  throw new BackupctlError("SCHEDULE_NOT_FOUND", `no schedule is named "${name}"`, {
    hint: known === "" ? "The config has none: add it under `schedules:`." : `Use one of ${known}.`,
  });
}

/** Who holds it runs the schedule. */
export function scheduleLock(state: StatePaths, name: string): string {
  return path.join(state.directory, `schedule-${name}.lock`);
}

export function historyOf(log: ScheduleLog, { name, timing }: ScheduleConfig, now: Date): History {
  const since = log.since(name, timesOf(timing));
  const newest = log.runs(name, 1);
  const past = log.runs(name, 2, new Date(now.getTime() + CLOCK_TOLERANCE_MS).toISOString());
  const runs = newest[0]?.id === past[0]?.id ? past : [...newest, ...past];
  return {
    timing,
    // What calls it at the very time that it is due may be the first that this host hears of the schedule.
    since: since === undefined ? new Date(now.getTime() - CLOCK_TOLERANCE_MS) : new Date(since),
    runs: runs.map(pastRunOf),
    now,
  };
}

/** From now on what is not run is missed. */
export function rememberSchedule(log: ScheduleLog, schedule: ScheduleConfig, { since }: History): void {
  if (!isRemembered(log, schedule)) log.setSince(schedule.name, timesOf(schedule.timing), since.toISOString());
}

export function isRemembered(log: ScheduleLog, { name, timing }: ScheduleConfig): boolean {
  return log.since(name, timesOf(timing)) !== undefined;
}

/** For which of its times a schedule made a backup; `undefined` where it was not this one, or nobody on this host knows. */
export function dueTimeOf(log: ScheduleLog, schedule: string, { timestamp }: KnownBackup): Date | undefined {
  const [run] = log.runs(schedule, 1, timestamp);
  if (run === undefined || (run.endedAt !== undefined && run.endedAt < timestamp)) return undefined;
  return new Date(run.scheduledFor);
}

function timesOf({ cron, timezone }: ScheduleConfig["timing"]): string {
  return `${cron} ${timezone}`;
}

function pastRunOf({ scheduledFor, startedAt, status }: ScheduleRun) {
  return { scheduledFor: new Date(scheduledFor), startedAt: new Date(startedAt), status };
}
