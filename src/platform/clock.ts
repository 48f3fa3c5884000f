import { setTimeout } from "node:timers/promises";

/** The only reader of the system's clock, so that a test can set the time of a whole run. */
export interface Clock {
  now(): Date;
  /** Monotonic, for durations. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};

/** Nanoseconds since the epoch, to compare with file times. */
export function nowNs(clock: Clock = systemClock): bigint {
  return BigInt(clock.now().getTime()) * 1_000_000n;
}

/** Lets time pass. @throws the signal's reason as soon as that is aborted. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

export const systemSleep: Sleep = async (ms, signal) => {
  try {
    await setTimeout(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
};
