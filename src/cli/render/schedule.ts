import { MOST_MISSED } from "../../domain/schedule/past-run.ts";
import type { ScheduleRunResult, ScheduleSummary } from "../../operations/operations.ts";
import { bad, caution, dim, good, type Look, type Painted, strong } from "./look.ts";
import { type Column, renderTable } from "./table.ts";

export function scheduleTable(look: Look, schedules: readonly ScheduleSummary[]): Promise<string> {
  const columns: readonly Column<ScheduleSummary>[] = [
    { title: "Schedule", rank: 0, cell: ({ name }) => strong(name) },
    { title: "Runs", rank: 3, cell: ({ operation }) => operation },
    { title: "Times", rank: 4, shrinkTo: 11, cell: timesOf },
    {
      title: `Next (${look.timezone})`,
      rank: 0,
      cell: (one) => (one.next === undefined ? dim("off") : look.shortTime(one.next)),
    },
    {
      title: "Last",
      rank: 1,
      cell: ({ last }) => (last === undefined ? dim("never") : look.shortTime(last.startedAt)),
    },
    { title: "Status", rank: 0, cell: ({ last }) => (last === undefined ? "" : statusText(last.status)) },
    {
      title: "Missed",
      rank: 0,
      align: "right",
      cell: ({ missed }) => (missed === undefined ? "" : bad(countText(missed))),
    },
    { title: "Ended", rank: 5, align: "right", cell: ({ counts }) => String(counts.total) },
    {
      title: "Failed",
      rank: 2,
      align: "right",
      cell: ({ counts }) => (counts.failed === 0 ? "" : String(counts.failed)),
    },
  ];
  return renderTable(look, columns, schedules);
}

function timesOf({ cron, timezone }: ScheduleSummary): string {
  return `${cron} ${timezone}`;
}

function statusText(status: NonNullable<ScheduleSummary["last"]>["status"]): Painted | string {
  if (status === "completed") return good(status);
  if (status === "running") return status;
  return status === "partial" ? caution(status) : bad(status);
}

function countText({ count: missed }: NonNullable<ScheduleSummary["missed"]>): string {
  return missed < MOST_MISSED ? String(missed) : `${MOST_MISSED} or more`;
}

/** Those that were missed, or whose last run did not do all of it: for a monitor as for a notifier a part that failed is a failure. */
export function troubled(schedules: readonly ScheduleSummary[]): readonly ScheduleSummary[] {
  return schedules.filter(({ enabled, missed, last }) => enabled && (missed !== undefined || hasFailed(last)));
}

function hasFailed(last: ScheduleSummary["last"]): boolean {
  return last !== undefined && last.status !== "completed" && last.status !== "running";
}

export function missedLine(look: Look, { name, missed, last }: ScheduleSummary): string {
  if (missed === undefined) {
    const why = last?.summary === undefined ? "" : look.line`: ${last.summary}`;
    return look.line`schedule "${name}": its last run, of ${look.time(last?.startedAt ?? "")}, ${last?.status ?? ""}`.concat(
      why,
    );
  }
  const { first } = missed;
  const ran = last === undefined ? "it has never run here" : look.line`it last ran ${look.time(last.startedAt)}`;
  const times = missed.count === 1 ? "it was missed" : `${countText(missed)} runs were missed, the first`;
  return `${look.line`schedule "${name}": ${times} at ${look.time(first)}`}; ${ran}`;
}

const VERDICT_OF_EXIT: Readonly<Record<number, Painted>> = { 0: good("done"), 3: caution("partly done") };

export function renderScheduleRun(look: Look, { name, ran, summary, exitCode, next }: ScheduleRunResult): string {
  const after = look.line`; next ${look.time(next)}`;
  if (!ran) return look.line`schedule "${name}": nothing to do, ${summary}`.concat(after);
  const verdict = VERDICT_OF_EXIT[exitCode] ?? bad("failed");
  return look.line`schedule "${name}" ${verdict}: ${summary}`.concat(after);
}
