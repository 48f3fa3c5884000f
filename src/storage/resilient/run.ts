import type { Clock, Sleep } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";

/** What the decorators need of the run that they are part of; a test lets hours pass in no time. */
export interface StorageRun {
  readonly clock: Clock;
  readonly sleep: Sleep;
  /** At least 0, less than 1. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Its abort ends every wait, of calls that have no signal too. */
  readonly signal: AbortSignal;
}

/** Waits as a call of the run may. @throws the reason of whichever signal is aborted: the call's own, or the run's. */
export function waitInRun({ sleep, signal }: StorageRun, ms: number, own: AbortSignal | undefined): Promise<void> {
  return sleep(ms, own === undefined ? signal : AbortSignal.any([own, signal]));
}
