import { TRIAL_NAME } from "../../domain/object-names.ts";
import type { BackupObjects } from "./backup-objects.ts";
import { PATIENCE_MS } from "./copy-in-progress.ts";
import { type HostTime, requireClock } from "./storage-clock.ts";

const BYTES = Buffer.from("put by backupctl create, to see whether it may write\n");

/**
 * Puts an object into each storage before anything is read: a login that may not write is met by it, and a clock that is off.
 * @throws as `BackupObjects.put`; `CLOCK_SKEWED`
 */
export async function tryStorages(
  objects: BackupObjects,
  time: HostTime,
  warn: (message: string) => void,
): Promise<void> {
  await objects.put(TRIAL_NAME, BYTES);
  const warning = await requireClock(objects, TRIAL_NAME, time);
  if (warning !== undefined) warn(warning);
  await objects.waitForOthers(PATIENCE_MS);
}

/** Not at once: the folders that were made for it would have to be made again. */
export async function endTrial(objects: BackupObjects): Promise<void> {
  await objects.leaveOut((name) => name === TRIAL_NAME);
}
