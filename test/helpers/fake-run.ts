import type { StorageRun } from "../../src/storage/resilient/run.ts";

export interface FakeRun extends StorageRun {
  /** What the operator was told, with its level. */
  readonly told: readonly string[];
  /** How long each sleep was to last, in ms. */
  readonly slept: readonly number[];
  readonly abort: (reason: Error) => void;
}

/** A run whose time passes only where somebody sleeps: then at once, and whoever wakes first goes on first. */
export function fakeRun(random: () => number = () => 0.5): FakeRun {
  let nowMs = 1_000;
  const controller = new AbortController();
  const told: string[] = [];
  const slept: number[] = [];
  const sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];

  function wakeFirst(): void {
    sleepers.sort((a, b) => a.untilMs - b.untilMs);
    const first = sleepers.shift();
    nowMs = Math.max(nowMs, first?.untilMs ?? nowMs);
    first?.wake();
  }

  return {
    told,
    slept,
    random,
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    clock: { now: () => new Date(nowMs), monotonicMs: () => nowMs },
    async sleep(ms, signal) {
      slept.push(ms);
      const { promise, resolve } = Promise.withResolvers<void>();
      sleepers.push({ untilMs: nowMs + ms, wake: resolve });
      setImmediate(wakeFirst);
      await promise;
      signal?.throwIfAborted();
    },
    logger: {
      debug: () => undefined,
      info: (message) => void told.push(`info: ${message}`),
      warn: (message) => void told.push(`warning: ${message}`),
      error: (message) => void told.push(`error: ${message}`),
    },
  };
}
