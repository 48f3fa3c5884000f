import type { ScheduleInstallation, ScheduleRunResult, ScheduleSummary } from "../../operations/operations.ts";
import type { Json } from "./json.ts";

export function scheduleListJson(schedules: readonly ScheduleSummary[]): Json {
  return {
    schedules: schedules.map(({ name, operation, enabled, cron, timezone, next, last, counts, missed }) => ({
      ...{ name, operation, enabled, cron, timezone },
      next_run: next ?? null,
      last_run: last?.startedAt ?? null,
      last_scheduled_for: last?.scheduledFor ?? null,
      last_end: last?.endedAt ?? null,
      last_status: last?.status ?? null,
      last_summary: last?.summary ?? null,
      total_runs: counts.total,
      successful_runs: counts.completed,
      failed_runs: counts.failed,
      missed: missed === undefined ? null : { runs: missed.count, first: missed.first, last: missed.last },
    })),
  };
}

export function scheduleRunJson({
  name,
  ran,
  scheduledFor,
  exitCode,
  summary,
  problems,
  next,
}: ScheduleRunResult): Json {
  return {
    schedule: name,
    ran,
    scheduled_for: scheduledFor ?? null,
    exit_code: exitCode,
    summary,
    problems,
    next_run: next,
  };
}

export function installationJson({ parts, removed }: ScheduleInstallation): Json {
  return { parts: parts.map(({ place, text }) => ({ place, text })), removed };
}
