import { type StorageRun, waitInRun } from "./run.ts";

/** Waits until what moved before has had its time at the wanted rate, then counts `bytes` as well. */
export type Pace = (bytes: number, signal: AbortSignal | undefined) => Promise<void>;

export function makePace(bytesPerSecond: number, run: StorageRun): Pace {
  let freeAtMs = 0;
  return async (bytes, signal) => {
    const nowMs = run.clock.monotonicMs();
    const startMs = Math.max(nowMs, freeAtMs);
    freeAtMs = startMs + (bytes * 1000) / bytesPerSecond;
    if (startMs > nowMs) await waitInRun(run, startMs - nowMs, signal);
  };
}
