import type { Catalog, ScheduleRun } from "../../catalog/catalog.ts";
import type { ScheduleConfig } from "../../config/config.ts";
import { dueTime } from "../../domain/schedule/due.ts";
import { latestRun, nextRun } from "../../domain/schedule/times.ts";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import type { JobOutcome } from "../../jobs/job.ts";
import { acquireLock, type Lock } from "../../platform/lock.ts";
import { newUuid } from "../../platform/random.ts";
import type { OperationContext } from "../context.ts";
import type { Operations, ScheduleRunRequest, ScheduleRunResult } from "../operations.ts";
import { statePaths } from "../session.ts";
import { historyOf, rememberSchedule, scheduleLock, scheduleNamed } from "./history.ts";

const STATUS_OF_EXIT: Readonly<Record<number, ScheduleRun["status"]>> = { 0: "completed", 3: "partial" };

/**
 * Runs what a schedule says, once at a time. Order of effects: the schedule's lock → catalog `running` → the work → catalog how it ended.
 * Killed in between, the next that gets the lock records that it was interrupted, and begins it again where it is due, once.
 * @throws `SCHEDULE_NOT_FOUND`, `BACKUP_IN_PROGRESS` where it runs already (with `ifDue` that is a result), and what the work throws
 */
export async function runSchedule(
  context: OperationContext,
  operations: Operations,
  request: ScheduleRunRequest,
): Promise<ScheduleRunResult> {
  const { session } = context;
  const schedule = scheduleNamed(session, request.name);
  if (request.ifDue && !schedule.enabled) return idle(context, schedule, "it is not enabled");
  const lock = await takeLock(context, request);
  if (lock === undefined) return idle(context, schedule, "it is running already");
  try {
    const catalog = await context.catalog("write");
    recordDeadRun(catalog, schedule.name);
    const now = session.clock.now();
    const history = historyOf(catalog.schedules, schedule, now);
    rememberSchedule(catalog.schedules, schedule, history);
    if (request.ifDue && dueTime(history) === undefined) return idle(context, schedule, "it is not due");
    return await runNow(context, operations, schedule, request);
  } finally {
    await lock.release();
  }
}

/** `undefined` where it is held and only what is due was asked for. */
async function takeLock(context: OperationContext, { name, ifDue }: ScheduleRunRequest): Promise<Lock | undefined> {
  const { signal, clock } = context.session;
  const file = scheduleLock(await statePaths(context.session), name);
  try {
    return await acquireLock(file, { operation: `schedule ${name}` }, { signal, clock });
  } catch (error) {
    if (ifDue && isBackupctlError(error, "BACKUP_IN_PROGRESS")) return undefined;
    throw error;
  }
}

/** With the lock held nobody runs it. */
function recordDeadRun({ schedules }: Catalog, name: string): void {
  const [newest] = schedules.runs(name, 1);
  if (newest?.status === "running") schedules.record({ ...newest, status: "interrupted", summary: "its process died" });
}

async function runNow(
  context: OperationContext,
  operations: Operations,
  { name, timing, operation, options }: ScheduleConfig,
  { onProgress }: ScheduleRunRequest,
): Promise<ScheduleRunResult> {
  const { session } = context;
  const startedAt = session.clock.now();
  const next = nextRun(timing, startedAt);
  const run = {
    id: newUuid(),
    schedule: name,
    scheduledFor: latestRun(timing, startedAt).toISOString(),
    startedAt: startedAt.toISOString(),
  };
  await record(context, { ...run, endedAt: undefined, status: "running", summary: undefined });
  const end = (status: ScheduleRun["status"], summary: string): Promise<void> =>
    record(context, { ...run, endedAt: session.clock.now().toISOString(), status, summary });
  let outcome: JobOutcome;
  try {
    const job = await session.adapters.jobs[operation]?.();
    if (job === undefined) throw new BackupctlError("CONFIG_INVALID", `there is no operation "${operation}"`);
    const lockWaitMs = next.getTime() - startedAt.getTime();
    outcome = await job.run(operations, { options, lockWaitMs, onProgress });
  } catch (error) {
    await end(session.signal.aborted ? "interrupted" : "failed", messageOf(error)).catch((unrecorded: unknown) =>
      session.logger.warn(`the catalog could not be told how schedule "${name}" ended (${messageOf(unrecorded)})`),
    );
    throw error;
  }
  const { exitCode, summary, problems } = outcome;
  await end(STATUS_OF_EXIT[exitCode] ?? "failed", summary);
  return { name, ran: true, scheduledFor: run.scheduledFor, exitCode, summary, problems, next: next.toISOString() };
}

/** The catalog is asked for each time: the work replaces one that it finds damaged. */
async function record(context: OperationContext, run: ScheduleRun): Promise<void> {
  (await context.catalog("write")).schedules.record(run);
}

function idle({ session }: OperationContext, { name, timing }: ScheduleConfig, summary: string): ScheduleRunResult {
  const next = nextRun(timing, session.clock.now()).toISOString();
  return { name, ran: false, scheduledFor: undefined, exitCode: 0, summary, problems: [], next };
}
