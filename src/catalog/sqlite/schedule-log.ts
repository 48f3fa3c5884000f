import { z } from "zod";
import { RUN_STATUSES } from "../../domain/schedule/past-run.ts";
import type { ScheduleCounts, ScheduleLog, ScheduleRun } from "../schedule-log.ts";
import type { Connection } from "./connection.ts";
import { parse } from "./rows.ts";

const runRowSchema = z.object({
  id: z.string(),
  schedule: z.string(),
  scheduled_for: z.iso.datetime(),
  started_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  status: z.enum(RUN_STATUSES),
  summary: z.string().nullable(),
});
const countsRowSchema = z.object({ total: z.number(), completed: z.number(), failed: z.number() });

const END_OF_TIME = "9999";

export class SqliteScheduleLog implements ScheduleLog {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  since(schedule: string, times: string): string | undefined {
    const row = this.#connection.get("SELECT since FROM schedules WHERE name = ? AND times = ?", schedule, times);
    return row === undefined ? undefined : parse(z.object({ since: z.iso.datetime() }), row, "schedules").since;
  }

  setSince(schedule: string, times: string, at: string): void {
    this.#connection.write(() =>
      this.#connection.run(
        "INSERT OR REPLACE INTO schedules (name, times, since) VALUES (?, ?, ?)",
        schedule,
        times,
        at,
      ),
    );
  }

  record(run: ScheduleRun): void {
    this.#connection.write(() =>
      this.#connection.run(
        `INSERT INTO schedule_runs (id, schedule, scheduled_for, started_at, ended_at, status, summary)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, status = excluded.status, summary = excluded.summary`,
        run.id,
        run.schedule,
        run.scheduledFor,
        run.startedAt,
        run.endedAt ?? null,
        run.status,
        run.summary ?? null,
      ),
    );
  }

  runs(schedule: string, limit: number, until = END_OF_TIME): readonly ScheduleRun[] {
    const sql = "SELECT * FROM schedule_runs WHERE schedule = ? AND started_at <= ? ORDER BY number DESC LIMIT ?";
    return this.#connection.all(sql, schedule, until, limit).map(runOf);
  }

  counts(schedule: string): ScheduleCounts {
    const row = this.#connection.get(
      `SELECT count(*) AS total, count(*) FILTER (WHERE status = 'completed') AS completed,
         count(*) FILTER (WHERE status IN ('failed', 'interrupted')) AS failed
       FROM schedule_runs WHERE schedule = ? AND status <> 'running'`,
      schedule,
    );
    return parse(countsRowSchema, row, "schedule_runs");
  }
}

function runOf(row: unknown): ScheduleRun {
  const { scheduled_for, started_at, ended_at, summary, ...run } = parse(runRowSchema, row, "schedule_runs");
  return {
    ...run,
    scheduledFor: scheduled_for,
    startedAt: started_at,
    endedAt: ended_at ?? undefined,
    summary: summary ?? undefined,
  };
}
