import { isBackupctlError } from "../../errors.ts";
import type { Notification, Notifier } from "../../notify/notifier.ts";
import type { Sleep } from "../../platform/clock.ts";

/** Before the second try and before the third: whoever waits for the end of the run waits for these. */
const PAUSES_MS = [2_000, 10_000];

/** Sends it, three times at most where it may be taken later. @throws what the last try throws, or the signal's reason */
export async function sendPatiently(
  notifier: Notifier,
  notification: Notification,
  { sleep, signal }: { readonly sleep: Sleep; readonly signal: AbortSignal },
): Promise<void> {
  for (const pauseMs of PAUSES_MS) {
    try {
      return await notifier.send(notification, signal);
    } catch (error) {
      if (!isBackupctlError(error) || !error.retryable || signal.aborted) throw error;
      await sleep(pauseMs, signal);
    }
  }
  return await notifier.send(notification, signal);
}
