import { artifactName, packName } from "../../domain/object-names.ts";
import type { BackupObjects } from "./backup-objects.ts";
import { requireClock } from "./storage-clock.ts";

/** Called as a pack is, which readers pass over if no metadata name it: where a login may write and not remove, it stays. */
const NAME = packName(
  artifactName({ source: "trial", kind: "trial", part: "data", compression: "none", encrypted: false }),
  0,
);
const BYTES = Buffer.from("put by backupctl create, to see whether it may write\n");

/** The run waits for its leading copy; that of a replica which does not answer is left to itself for now. */
const PATIENCE_MS = 20_000;

/**
 * Puts an object into each storage before anything is read: a login that may not write is met by it, and a clock that is off.
 * @throws as `BackupObjects.put`; `CLOCK_SKEWED`
 */
export async function tryStorages(objects: BackupObjects, startedAt: Date): Promise<void> {
  await objects.put(NAME, BYTES);
  await requireClock(objects, NAME, startedAt);
  await objects.waitForOthers(PATIENCE_MS);
}

/** Not at once: the folders that were made for it would have to be made again. */
export async function endTrial(objects: BackupObjects): Promise<void> {
  await objects.leaveOut(NAME);
}
