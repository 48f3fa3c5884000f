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
  /** Beside bytes, where making a file is work as well: many small ones are few bytes. */
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
/** What came before the work is under way, or its first percent done, says nothing about how long the rest takes. */
const TELLING_MS = 5_000;
const TELLING_PART = 0.01;
/** Making a file takes about as long as writing so much to it. */
const BYTES_OF_A_FILE = 16 * 1024;

export function startProgress(settings: ProgressSettings): ProgressMeter {
  const { clock, phases, onProgress, file } = settings;
  const startedMs = clock.monotonicMs();
  let phase = phases[0];
  let total: WorkTotal = {};
  let bytesDone = 0;
  let filesDone = 0;
  let activity: string | undefined;
  let samples: Sample[] = [{ ms: startedMs, bytes: 0, files: 0 }];
  let emittedMs = Number.NEGATIVE_INFINITY;
  let writtenMs = Number.NEGATIVE_INFINITY;
  let writing: Promise<void> | undefined;
  let finished = false;

  function current(nowMs: number): Progress {
    const at = phases.indexOf(phase);
    const now: Sample = { ms: nowMs, bytes: bytesDone, files: filesDone };
    const known = total.rough === true && bytesDone > (total.bytes ?? 0) ? {} : total;
    return {
      phase,
      phasesCompleted: phases.slice(0, at),
      phasesRemaining: phases.slice(at + 1),
      percent: percentOf(now, known),
      bytesDone,
      bytesTotal: known.bytes,
      filesDone,
      filesTotal: total.files,
      bytesPerSecond: speedOf(samples, now, ({ bytes }) => bytes),
      secondsElapsed: (nowMs - startedMs) / 1_000,
      secondsRemaining: secondsFor(known, now, samples),
      activity,
    };
  }

  function changed(now: boolean): void {
    const nowMs = clock.monotonicMs();
    if (finished || (!now && nowMs - emittedMs < EMIT_EVERY_MS)) return;
    emittedMs = nowMs;
    const last = samples.at(-1);
    if (last === undefined || nowMs - last.ms >= SAMPLE_EVERY_MS)
      samples.push({ ms: nowMs, bytes: bytesDone, files: filesDone });
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
        samples = [{ ms: clock.monotonicMs(), bytes: 0, files: 0 }];
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
      if (file !== undefined) await removeFileIfExists(file).catch(() => undefined);
    },
  };
}

interface Done {
  readonly bytes: number;
  readonly files: number;
}

interface Sample extends Done {
  readonly ms: number;
}

/** In bytes where these are known, else in files. */
function workOf({ bytes, files }: Done, total: WorkTotal): number {
  if (total.bytes === undefined) return files;
  return total.files === undefined ? bytes : bytes + files * BYTES_OF_A_FILE;
}

function totalWork(total: WorkTotal): number | undefined {
  const { bytes = 0, files = 0 } = total;
  return total.bytes === undefined ? total.files : workOf({ bytes, files }, total);
}

function secondsFor(total: WorkTotal, now: Sample, samples: readonly Sample[]): number | undefined {
  if (total.bytes === undefined) return undefined;
  const all = totalWork(total) ?? 0;
  const left = all - workOf(now, total);
  if (left <= 0) return 0;
  const [oldest] = samples;
  if (oldest === undefined || (now.ms - oldest.ms < TELLING_MS && workOf(now, total) < all * TELLING_PART))
    return undefined;
  const perSecond = speedOf(samples, now, (done) => workOf(done, total));
  return perSecond === undefined ? undefined : left / perSecond;
}

function percentOf(now: Sample, total: WorkTotal): number | undefined {
  const all = totalWork(total);
  if (all === undefined) return undefined;
  return all === 0 ? 100 : Math.min(100, Math.round((workOf(now, total) / all) * 1_000) / 10);
}

function speedOf(samples: readonly Sample[], now: Sample, work: (done: Done) => number): number | undefined {
  const [oldest] = samples;
  if (oldest === undefined || now.ms - oldest.ms < SAMPLE_EVERY_MS || work(now) <= work(oldest)) return undefined;
  return ((work(now) - work(oldest)) * 1_000) / (now.ms - oldest.ms);
}

async function write(file: string, settings: ProgressSettings, progress: Progress): Promise<void> {
  const { backupId, operation, clock } = settings;
  const facts = { backup_id: backupId, operation, progress, updated_at: clock.now().toISOString() };
  // Onlookers only: a full disk under the state directory must not end a restore, nor may flushing hold up who makes files beside it.
  await replaceFile(file, `${JSON.stringify(facts)}\n`, { mode: 0o600, flush: false }).catch(() => undefined);
}
