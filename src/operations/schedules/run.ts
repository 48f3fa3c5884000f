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
import { type Session, statePaths } from "../session.ts";
import { asStateFailure } from "../state-failure.ts";
import { historyOf, rememberSchedule, scheduleLock, scheduleNamed } from "./history.ts";
import { type RunNotices, runNotices } from "./notices.ts";
import type { RunEnd } from "./run-notification.ts";

const STATUS_OF_EXIT: Readonly<Record<number, RunEnd["status"]>> = { 0: "completed", 3: "partial" };

interface Attempt {
  readonly schedule: ScheduleConfig;
  readonly request: ScheduleRunRequest;
  readonly notices: RunNotices;
}

/** `thrown` is to be passed on. */
type Ended = RunEnd & { readonly exitCode: number; readonly thrown?: unknown };

/**
 * Runs what a schedule says, once at a time. Order of effects: the schedule's lock → catalog `running` → the work → catalog how it ended →
 * the lock let go → its notifiers told. Killed in between, the next that gets the lock tells them that it was interrupted, records that,
 * and begins it again where it is due, once; killed while they are told, nobody tells them again.
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
  const attempt = { schedule, request, notices: runNotices(session, schedule) };
  const end = await runLocked(context, operations, attempt);
  if (typeof end === "string") return idle(context, schedule, end);
  await attempt.notices.tell(end);
  if (end.thrown !== undefined) throw end.thrown;
  const { scheduledFor, exitCode, summary, problems, next } = end;
  return { name: schedule.name, ran: true, scheduledFor, exitCode, summary, problems, next };
}

/** @returns how it ended, or why there was nothing to do. @throws `BACKUP_IN_PROGRESS` where it runs already */
async function runLocked(context: OperationContext, operations: Operations, attempt: Attempt): Promise<Ended | string> {
  const { session } = context;
  const run = newRun(session, attempt.schedule);
  let lock: Lock | undefined;
  try {
    lock = await takeLock(context, attempt.request);
    return lock === undefined ? "it is running already" : await runIfDue(context, operations, attempt);
  } catch (thrown) {
    if (lock === undefined && isBackupctlError(thrown, "BACKUP_IN_PROGRESS")) throw thrown;
    return failedEnd(session, run, thrown);
  } finally {
    await lock?.release();
  }
}

async function runIfDue(
  context: OperationContext,
  operations: Operations,
  { schedule, request, notices }: Attempt,
): Promise<Ended | string> {
  const catalog = await context.catalog("write");
  await recordDeadRun(catalog, schedule, notices);
  const history = historyOf(catalog.schedules, schedule, context.session.clock.now());
  rememberSchedule(catalog.schedules, schedule, history);
  if (request.ifDue && dueTime(history) === undefined) return "it is not due";
  await notices.open();
  return await runNow(context, operations, { schedule, request, notices });
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

/** With the lock held nobody runs it. Told first: killed in between, this is told twice rather than never. */
async function recordDeadRun(
  { schedules }: Catalog,
  { name, timing }: ScheduleConfig,
  notices: RunNotices,
): Promise<void> {
  const [newest] = schedules.runs(name, 1);
  if (newest?.status !== "running") return;
  const { scheduledFor, startedAt } = newest;
  const died = { status: "interrupted", summary: "its process died" } as const;
  const next = nextRun(timing, new Date(startedAt)).toISOString();
  const unknown = { endedAt: undefined, exitCode: undefined, error: undefined };
  await notices.tell({ ...died, scheduledFor, startedAt, next, ...unknown, problems: [], facts: {} });
  schedules.record({ ...newest, ...died });
}

async function runNow(
  context: OperationContext,
  operations: Operations,
  { schedule, request }: Attempt,
): Promise<Ended> {
  const { session } = context;
  const { name, operation, options } = schedule;
  const run = newRun(session, schedule);
  const { next, ...begun } = run;
  await record(context, { ...begun, endedAt: undefined, status: "running", summary: undefined });
  let outcome: JobOutcome;
  try {
    const job = await session.adapters.jobs[operation]?.();
    if (job === undefined) throw new BackupctlError("CONFIG_INVALID", `there is no operation "${operation}"`);
    const lockWaitMs = Date.parse(next) - Date.parse(begun.startedAt);
    outcome = await job.run(operations, { run, options, lockWaitMs, onProgress: request.onProgress });
  } catch (thrown) {
    const end = failedEnd(session, run, thrown);
    const { endedAt, status } = end;
    await record(context, { ...begun, endedAt, status, summary: withHint(session, end) }).catch((unrecorded: unknown) =>
      session.logger.warn(`the catalog could not be told how schedule "${name}" ended (${messageOf(unrecorded)})`),
    );
    return end;
  }
  const status = STATUS_OF_EXIT[outcome.exitCode] ?? "failed";
  const endedAt = session.clock.now().toISOString();
  await record(context, { ...begun, endedAt, status, summary: session.clean(inOneLine(outcome)) });
  return { ...run, ...outcome, status, endedAt, error: undefined };
}

/** With what helps: a monitor's line is all that is read of it. */
function withHint({ clean }: Session, { summary, error }: Ended): string {
  return error?.hint === undefined ? summary : `${summary}. ${clean(error.hint)}`;
}

/** With what went wrong first: nobody asks a monitor's line what else there was. */
function inOneLine({ summary, problems: [first, ...more] }: JobOutcome): string {
  if (first === undefined) return summary;
  return `${summary}; ${first}${more.length === 0 ? "" : `, and ${more.length} more`}`;
}

interface NewRun {
  readonly id: string;
  readonly schedule: string;
  /** ISO, these three. */
  readonly scheduledFor: string;
  readonly startedAt: string;
  readonly next: string;
}

function newRun({ clock }: Session, { name, timing }: ScheduleConfig): NewRun {
  const now = clock.now();
  return {
    id: newUuid(),
    schedule: name,
    scheduledFor: latestRun(timing, now).toISOString(),
    startedAt: now.toISOString(),
    next: nextRun(timing, now).toISOString(),
  };
}

/** After a signal every error is a consequence of it. */
function failedEnd({ signal, clock, loaded, clean }: Session, run: NewRun, thrown: unknown): Ended {
  const error: unknown = signal.aborted ? signal.reason : asStateFailure(thrown, loaded.config.stateDir);
  const known = isBackupctlError(error) ? error : undefined;
  return {
    ...run,
    status: signal.aborted ? "interrupted" : "failed",
    endedAt: clock.now().toISOString(),
    exitCode: known?.exitCode ?? 1,
    summary: clean(messageOf(thrown)),
    problems: known?.lines ?? [],
    facts: {},
    error: { code: known?.code ?? "INTERNAL", message: messageOf(error), hint: known?.hint },
    thrown,
  };
}

/** The catalog is asked for each time: the work replaces one that it finds damaged. */
async function record(context: OperationContext, run: ScheduleRun): Promise<void> {
  (await context.catalog("write")).schedules.record(run);
}

function idle({ session }: OperationContext, { name, timing }: ScheduleConfig, summary: string): ScheduleRunResult {
  const next = nextRun(timing, session.clock.now()).toISOString();
  return { name, ran: false, scheduledFor: undefined, exitCode: 0, summary, problems: [], next };
}
