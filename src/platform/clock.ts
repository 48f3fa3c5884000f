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
