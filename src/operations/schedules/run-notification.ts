import type { RunStatus } from "../../domain/schedule/past-run.ts";
import type { Detail, Notification } from "../../notify/notifier.ts";

/** How a run of a schedule ended. Times are ISO. */
export interface RunEnd {
  readonly status: Exclude<RunStatus, "running">;
  readonly scheduledFor: string;
  readonly startedAt: string;
  /** `undefined` of one whose process died: nobody knows when. */
  readonly endedAt: string | undefined;
  readonly exitCode: number | undefined;
  readonly summary: string;
  readonly problems: readonly string[];
  readonly facts: Readonly<Record<string, string | number>>;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | undefined } | undefined;
  readonly next: string;
}

interface About {
  readonly id: string;
  readonly time: string;
  readonly site: string;
  readonly host: string;
  readonly schedule: string;
  readonly operation: string;
}

/** More of them help nobody, and receivers have limits. */
const MOST_PROBLEMS = 20;

const SEVERITIES = { completed: "info", partial: "warning", failed: "critical", interrupted: "critical" } as const;
const VERDICTS = {
  completed: "is done",
  partial: "is partly done",
  failed: "failed",
  interrupted: "was interrupted",
} as const;

/** What notifiers are told of it: docs/notify/README.md. A part that failed is a failure, as it is for the exit status. */
export function runNotification(end: RunEnd, { schedule, operation, ...about }: About): Notification {
  const { status, summary, error } = end;
  const problems = problemsOf(end);
  return {
    ...about,
    event: status === "completed" ? "schedule.completed" : "schedule.failed",
    severity: SEVERITIES[status],
    title: `schedule "${schedule}" of ${about.site} on ${about.host} ${VERDICTS[status]}`,
    lines: [
      error === undefined ? summary : `${error.code}: ${error.message}`,
      ...(error?.hint === undefined ? [] : [error.hint]),
      ...problems,
      `next: ${end.next}`,
    ],
    details: {
      ...{ schedule, operation, status, exit_code: end.exitCode ?? null, summary, problems },
      ...{ scheduled_for: end.scheduledFor, started_at: end.startedAt, ended_at: end.endedAt ?? null },
      duration_seconds: secondsOf(end),
      facts: end.facts,
      error: error === undefined ? null : { ...error, hint: error.hint ?? null },
      next_run: end.next,
    },
  };
}

function problemsOf({ problems }: RunEnd): readonly string[] {
  const shown = problems.slice(0, MOST_PROBLEMS);
  const left = problems.length - shown.length;
  return left === 0 ? shown : [...shown, `and ${left} more`];
}

function secondsOf({ startedAt, endedAt }: RunEnd): Detail {
  return endedAt === undefined ? null : (Date.parse(endedAt) - Date.parse(startedAt)) / 1000;
}
