import type { BackupId } from "../domain/backup.ts";
import type { Clock } from "../platform/clock.ts";
import { removeFileIfExists, replaceFile } from "../platform/files.ts";
import type { OnProgress, Progress } from "./operations.ts";

interface ProgressSettings {
  /** In the order in which they will be entered; the meter begins in the first. */
  readonly phases: readonly [string, ...string[]];
  readonly backupId: BackupId;
  readonly operation: string;
  /** `state.progress`: what `status` of another process reads. It exists while the operation runs, and after one that died. */
  readonly file: string | undefined;
  readonly clock: Clock;
  readonly onProgress?: OnProgress | undefined;
}

interface WorkTotal {
  readonly bytes?: number | undefined;
  readonly files?: number | undefined;
  /** An estimate that may be far off: once it is exceeded nobody knows how much is left. */
  readonly rough?: boolean;
}

/** Counts work and tells onlookers, seldom enough to cost nothing. `add` and `activity` may be called for every chunk. */
export interface ProgressMeter {
  /** Enters a phase. With a total the counting begins anew, without one it goes on. */
  phase(name: string, total?: WorkTotal): void;
  /** Corrects what is to be done, counted work included. */
  total(total: WorkTotal): void;
  /** So many bytes are to come after those counted. */
  correct(bytesToCome: number): void;
  add(bytes: number, files: number): void;
  activity(text: string): void;
  /** To be called however the operation ended: removes the file. */
  finish(): Promise<void>;
}

const EMIT_EVERY_MS = 100;
const WRITE_EVERY_MS = 500;
const TICK_MS = 1_000;
/** The speed shown is that of the last seconds: long enough to be calm, short enough to follow. */
const SPEED_WINDOW_MS = 10_000;
const SAMPLE_EVERY_MS = 250;

export function startProgress(settings: ProgressSettings): ProgressMeter {
  const { clock, phases, onProgress, file } = settings;
  const startedMs = clock.monotonicMs();
  let phase = phases[0];
  let total: WorkTotal = {};
  let bytesDone = 0;
  let filesDone = 0;
  let activity: string | undefined;
  let samples: { readonly ms: number; readonly bytes: number }[] = [{ ms: startedMs, bytes: 0 }];
  let emittedMs = Number.NEGATIVE_INFINITY;
  let writtenMs = Number.NEGATIVE_INFINITY;
  let writing: Promise<void> | undefined;
  let finished = false;

  function current(nowMs: number): Progress {
    const at = phases.indexOf(phase);
    const bytesPerSecond = speedOf(samples, nowMs, bytesDone);
    const known = total.rough === true && bytesDone > (total.bytes ?? 0) ? {} : total;
    const leftBytes = known.bytes === undefined ? undefined : Math.max(0, known.bytes - bytesDone);
    return {
      phase,
      phasesCompleted: phases.slice(0, at),
      phasesRemaining: phases.slice(at + 1),
      percent: percentOf(bytesDone, filesDone, known),
      bytesDone,
      bytesTotal: known.bytes,
      filesDone,
      filesTotal: total.files,
      bytesPerSecond,
      secondsElapsed: (nowMs - startedMs) / 1_000,
      secondsRemaining: secondsFor(leftBytes, bytesPerSecond),
      activity,
    };
  }

  function changed(now: boolean): void {
    const nowMs = clock.monotonicMs();
    if (finished || (!now && nowMs - emittedMs < EMIT_EVERY_MS)) return;
    emittedMs = nowMs;
    const last = samples.at(-1);
    if (last === undefined || nowMs - last.ms >= SAMPLE_EVERY_MS) samples.push({ ms: nowMs, bytes: bytesDone });
    while (samples.length > 2 && (samples[0]?.ms ?? nowMs) < nowMs - SPEED_WINDOW_MS) samples.shift();
    const progress = current(nowMs);
    onProgress?.(progress);
    if (file === undefined || writing !== undefined || nowMs - writtenMs < WRITE_EVERY_MS) return;
    writtenMs = nowMs;
    writing = write(file, settings, progress).finally(() => {
      writing = undefined;
    });
  }

  // Time goes on where no byte does: a tool at work, a storage that is slow to answer.
  const ticking = setInterval(() => changed(true), TICK_MS);
  ticking.unref();
  changed(true);

  return {
    phase(name, newTotal) {
      if (!phases.includes(name)) throw new RangeError(`there is no phase "${name}"`);
      phase = name;
      activity = undefined;
      if (newTotal !== undefined) {
        total = newTotal;
        bytesDone = 0;
        filesDone = 0;
        samples = [{ ms: clock.monotonicMs(), bytes: 0 }];
      }
      changed(true);
    },
    total(newTotal) {
      total = newTotal;
      changed(true);
    },
    correct(bytesToCome) {
      total = { ...total, bytes: bytesDone + bytesToCome };
      changed(true);
    },
    add(bytes, files) {
      bytesDone += bytes;
      filesDone += files;
      changed(false);
    },
    activity(text) {
      activity = text;
      changed(false);
    },
    async finish() {
      finished = true;
      clearInterval(ticking);
      await writing;
      if (file !== undefined) await removeFileIfExists(file);
    },
  };
}

function secondsFor(leftBytes: number | undefined, bytesPerSecond: number | undefined): number | undefined {
  if (leftBytes === 0) return 0;
  return leftBytes === undefined || bytesPerSecond === undefined ? undefined : leftBytes / bytesPerSecond;
}

function percentOf(bytesDone: number, filesDone: number, total: WorkTotal): number | undefined {
  const [done, all] = total.bytes === undefined ? [filesDone, total.files] : [bytesDone, total.bytes];
  if (all === undefined) return undefined;
  return all === 0 ? 100 : Math.min(100, Math.round((done / all) * 1_000) / 10);
}

function speedOf(
  samples: readonly { readonly ms: number; readonly bytes: number }[],
  nowMs: number,
  bytesDone: number,
): number | undefined {
  const [oldest] = samples;
  if (oldest === undefined || nowMs - oldest.ms < SAMPLE_EVERY_MS || bytesDone <= oldest.bytes) return undefined;
  return ((bytesDone - oldest.bytes) * 1_000) / (nowMs - oldest.ms);
}

async function write(file: string, settings: ProgressSettings, progress: Progress): Promise<void> {
  const { backupId, operation, clock } = settings;
  const facts = { backup_id: backupId, operation, progress, updated_at: clock.now().toISOString() };
  // Onlookers only: a full disk under the state directory must not end a restore, nor may flushing hold up who makes files beside it.
  await replaceFile(file, `${JSON.stringify(facts)}\n`, { mode: 0o600, flush: false }).catch(() => undefined);
}
