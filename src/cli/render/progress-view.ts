import type { OnProgress, Progress } from "../../operations/operations.ts";
import { progressLine } from "./progress-line.ts";

/** Shows progress until `stop`. `around` writes something else to the same stream without tearing the line. */
export interface ProgressView {
  readonly onProgress: OnProgress;
  around(write: () => void): void;
  stop(): void;
}

interface ProgressTarget {
  /** Present where a line can be drawn over. */
  readonly stream: NodeJS.WritableStream | undefined;
  readonly columns: () => number;
  readonly monotonicMs: () => number;
  readonly clean: (text: string) => string;
  readonly colour: boolean;
  readonly writeLine: (line: string) => void;
}

const REDRAW_MS = 100;
const LINE_EVERY_MS = 60_000;
/** The spinner, the space after it, and room for the ^C that a terminal writes at the end: a line that wraps is not cleared whole. */
const RESERVED_COLUMNS = 5;

export const silentProgress: ProgressView = {
  onProgress: () => undefined,
  around: (write) => write(),
  stop: () => undefined,
};

export async function openProgress(target: ProgressTarget): Promise<ProgressView> {
  return target.stream === undefined ? minuteLines(target) : spinner(target, target.stream);
}

async function spinner(target: ProgressTarget, stream: NodeJS.WritableStream): Promise<ProgressView> {
  const { default: ora } = await import("ora");
  // stdin stays as it is, so that Ctrl-C keeps being a signal.
  const drawn = ora({ stream, isEnabled: true, discardStdin: false, color: target.colour ? "cyan" : false });
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  drawn.start();
  return {
    onProgress: (progress) => {
      const nowMs = target.monotonicMs();
      if (nowMs - drawnAtMs < REDRAW_MS) return;
      drawnAtMs = nowMs;
      drawn.text = progressLine(cleaned(progress, target.clean), target.columns() - RESERVED_COLUMNS);
    },
    around: (write) => {
      drawn.clear();
      write();
      if (drawn.isSpinning) drawn.render();
    },
    stop: () => {
      drawn.stop();
    },
  };
}

function minuteLines(target: ProgressTarget): ProgressView {
  let shownAtMs = target.monotonicMs();
  return {
    onProgress: (progress) => {
      const nowMs = target.monotonicMs();
      if (nowMs - shownAtMs < LINE_EVERY_MS) return;
      shownAtMs = nowMs;
      target.writeLine(progressLine(cleaned(progress, target.clean), 160));
    },
    around: (write) => write(),
    stop: () => undefined,
  };
}

/** Names of files must not draw on the terminal. */
function cleaned(progress: Progress, clean: (text: string) => string): Progress {
  const { phase, activity } = progress;
  return { ...progress, phase: clean(phase), activity: activity === undefined ? undefined : clean(activity) };
}
