import { formatBytes, formatRate } from "../../domain/size.ts";
import type { Progress, RunStatus } from "../../operations/operations.ts";
import { statusText } from "./backups.ts";
import { renderFields } from "./fields.ts";
import { elapsedSeconds } from "./json-runs.ts";
import { bad, formatSeconds, type Look, type Painted, strong } from "./look.ts";

/** A running, dead or finished run. */
export function renderStatus(look: Look, run: RunStatus): string {
  const { progress } = run;
  const ended = run.endedAt !== undefined;
  return [
    look.line`${strong(run.backupId)}  ${run.operation}  ${statusText(run.status)}`,
    renderFields(look, [
      ["started", look.time(run.startedAt)],
      [ended ? "took" : "running for", formatSeconds(elapsedSeconds(run, look.now))],
      ["held by", holderText(run)],
      ["phase", progress?.phase.replaceAll("_", " ")],
      ["progress", progress === undefined ? undefined : doneText(progress)],
      ["files", progress === undefined ? undefined : filesText(progress)],
      [
        "time left",
        progress?.secondsRemaining === undefined || ended ? undefined : formatSeconds(progress.secondsRemaining),
      ],
      ["just now", ended ? undefined : progress?.activity],
      ["done", listed(progress?.phasesCompleted)],
      ["to come", listed(progress?.phasesRemaining)],
      ["error", run.error === undefined ? undefined : bad(`${run.error.code}: ${run.error.message}`)],
    ]),
  ].join("\n");
}

function holderText({ holder }: RunStatus): string | Painted | undefined {
  if (holder === undefined) return undefined;
  const who = `process ${holder.pid} on ${holder.host}`;
  return holder.alive ? who : bad(`${who}, which is dead: the next run cleans up after it`);
}

function doneText({ percent, bytesDone, bytesTotal, bytesPerSecond }: Progress): string {
  const share = percent === undefined ? "" : `${Math.floor(percent)} %, `;
  const total = bytesTotal === undefined ? "" : ` of ${formatBytes(bytesTotal)}`;
  const rate = bytesPerSecond === undefined ? "" : `, ${formatRate(bytesPerSecond, 1)}`;
  return `${share}${formatBytes(bytesDone)}${total}${rate}`;
}

function filesText({ filesDone, filesTotal }: Progress): string | undefined {
  if (filesDone === 0 && filesTotal === undefined) return undefined;
  return filesTotal === undefined ? String(filesDone) : `${filesDone} of ${filesTotal}`;
}

function listed(phases: readonly string[] | undefined): string {
  return (phases ?? []).map((phase) => phase.replaceAll("_", " ")).join(", ");
}
