import { count } from "../../domain/count.ts";
import { describeMs } from "../../domain/duration.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { OperationOptions } from "../storage.ts";
import { type StorageRun, waitInRun } from "./run.ts";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/** One call of a storage, from its first try to its last. */
export interface Attempts {
  /** The storage has answered. */
  succeeded(): void;
  /** Waits before another try. @throws the error where there is to be none, saying for how long and how often it was tried. */
  failed(error: unknown): Promise<void>;
}

/** What one storage's calls know of each other: that it does not answer is told once, not by each of them. */
export interface Outage {
  /** Calls that are being tried again. */
  waiting: number;
  sinceMs: number;
  /** A call was tried for as long as may be. Until the storage answers again no other one is: each would take as long. */
  gaveUp: boolean;
}

export function noOutage(): Outage {
  return { waiting: 0, sinceMs: 0, gaveUp: false };
}

/**
 * How calls of the storage `name` are tried again for up to `forMs` after their first failure, with waits that double from half a
 * second to half a minute, each of them a random part of that: programs that failed together do not come back together.
 */
export function attemptsFor(
  name: string,
  forMs: number,
  run: StorageRun,
  outage = noOutage(),
): (options: OperationOptions | undefined) => Attempts {
  const { clock, logger, random } = run;

  return ({ signal, onRetry } = {}) => {
    // Who still calls clears up, and is not kept from ending.
    const isClearingUp = run.signal.aborted;
    let failures = 0;
    let firstFailureMs = 0;

    function enter(nowMs: number, error: BackupctlError): void {
      outage.waiting += 1;
      if (outage.waiting > 1) return;
      outage.sinceMs = nowMs;
      logger.warn(`${error.message}; trying again for up to ${describeMs(forMs)}`);
    }

    function leave(): void {
      if (failures > 0) outage.waiting -= 1;
      failures = 0;
    }

    async function waitForNext(error: BackupctlError): Promise<void> {
      const nowMs = clock.monotonicMs();
      if (failures === 0) {
        if (outage.gaveUp) throw error;
        firstFailureMs = nowMs;
      }
      const leftMs = firstFailureMs + forMs - nowMs;
      if (leftMs <= 0 || outage.gaveUp) {
        outage.gaveUp = true;
        throw afterAll(error, failures + 1, nowMs - firstFailureMs);
      }
      const ceilingMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
      const waitMs = Math.min(leftMs, random() * ceilingMs);
      onRetry?.({ error, waitMs });
      // Who won't wait has ended the call by now: no promise to try again is to be read then.
      signal?.throwIfAborted();
      if (failures === 0) enter(nowMs, error);
      failures += 1;
      logger.debug(`storage "${name}": trying again in ${Math.round(waitMs)} ms: ${error.message}`);
      await waitInRun(run, waitMs, signal);
    }

    return {
      succeeded() {
        outage.gaveUp = false;
        if (failures === 0) return;
        leave();
        if (outage.waiting > 0) return;
        logger.info(`storage "${name}" answers again after ${describeMs(clock.monotonicMs() - outage.sinceMs)}`);
      },
      async failed(error) {
        try {
          signal?.throwIfAborted();
          if (isClearingUp) throw error;
          run.signal.throwIfAborted();
          if (forMs === 0 || !isBackupctlError(error) || !error.retryable) throw error;
          await waitForNext(error);
        } catch (last) {
          leave();
          throw last;
        }
      },
    };
  };
}

function afterAll(error: BackupctlError, tries: number, tookMs: number): BackupctlError {
  const { code, message, lines, retryable, exitCode, data } = error;
  return new BackupctlError(code, `${message} (tried ${count(tries, "time")} in ${describeMs(tookMs)})`, {
    hint:
      error.hint ??
      "Look whether the storage is up and can be reached from here, then run the command again. retry_for in its config says how long it is waited for.",
    cause: error,
    ...{ lines, retryable, exitCode },
    ...(data === undefined ? {} : { data }),
  });
}
