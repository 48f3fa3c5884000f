import { formatBytes, formatRate } from "../../domain/size.ts";
import type { Progress } from "../../operations/operations.ts";
import { formatSeconds } from "./look.ts";
import { shorten, shortenMiddle } from "./width.ts";

/** Less than this says nothing about a path. */
const MIN_ACTIVITY_COLUMNS = 12;

/** The state in one line of at most `columns`: what matters least is left out first, the current item takes what is left. */
export function progressLine(progress: Progress, columns: number): string {
  const phase = progress.phase.replaceAll("_", " ");
  const facts = [percentOf(progress), bytesOf(progress), rateOf(progress), remainingOf(progress)];
  let line = phase;
  for (const fact of facts) {
    if (fact === undefined) continue;
    const longer = `${line}  ${fact}`;
    if (longer.length > columns) break;
    line = longer;
  }
  const left = columns - line.length - 2;
  const { activity } = progress;
  if (activity === undefined || left < MIN_ACTIVITY_COLUMNS) return shorten(line, columns);
  return `${line}  ${shortenMiddle(activity, left)}`;
}

function percentOf({ percent }: Progress): string | undefined {
  return percent === undefined ? undefined : `${Math.min(100, Math.max(0, Math.floor(percent)))} %`;
}

function bytesOf({ bytesDone, bytesTotal }: Progress): string | undefined {
  if (bytesDone === 0 && bytesTotal === undefined) return undefined;
  return bytesTotal === undefined ? formatBytes(bytesDone) : `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`;
}

function rateOf({ bytesPerSecond }: Progress): string | undefined {
  return bytesPerSecond === undefined || bytesPerSecond <= 0 ? undefined : formatRate(bytesPerSecond, 1);
}

function remainingOf({ secondsRemaining }: Progress): string | undefined {
  return secondsRemaining === undefined ? undefined : `${formatSeconds(secondsRemaining)} left`;
}
