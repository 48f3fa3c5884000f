import type { Clock } from "../../platform/clock.ts";
import type { OperationOptions } from "../../storage/storage.ts";

/** How long a storage may try again before another one is asked. */
const PATIENCE_MS = 15_000;

/** For a call of a storage beside which there are others: it ends by the error that it tries again for, when that has taken too long. */
export function impatience(clock: Clock, signal?: AbortSignal): OperationOptions {
  const startedMs = clock.monotonicMs();
  const tooLong = new AbortController();
  return {
    signal: signal === undefined ? tooLong.signal : AbortSignal.any([signal, tooLong.signal]),
    onRetry: ({ error, waitMs }) => {
      if (clock.monotonicMs() + waitMs - startedMs > PATIENCE_MS) tooLong.abort(error);
    },
  };
}
