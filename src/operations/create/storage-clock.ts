import { CLOCK_TOLERANCE_MS } from "../../domain/timestamp.ts";
import { BackupctlError } from "../../errors.ts";
import type { BackupObjects } from "./backup-objects.ts";

/**
 * A backup dated in the future would be the newest for as long as the clock was ahead.
 * @param name of an object that the run has put. @throws `CLOCK_SKEWED`; `STORAGE_FAILED` where it is gone
 */
export async function requireClock(objects: BackupObjects, name: string, startedAt: Date): Promise<void> {
  await objects.confirmLead(async (storage, options) => {
    const key = `${objects.directory}/${name}`;
    const stored = await storage.stat(key, options);
    if (stored === undefined) {
      return new BackupctlError("STORAGE_FAILED", `${key} is missing in storage "${storage.name}" after its put`, {
        hint: `Look whether the storage keeps what it is given, with \`backupctl storage check ${storage.name}\`, then run backupctl create again.`,
      });
    }
    const { modifiedAt } = stored;
    if (startedAt.getTime() <= modifiedAt.getTime() + CLOCK_TOLERANCE_MS) return undefined;
    const ahead = `this host's clock (${startedAt.toISOString()}) is ahead of storage "${storage.name}" (${modifiedAt.toISOString()})`;
    return new BackupctlError("CLOCK_SKEWED", ahead, {
      hint: "Set the clock of this host; `timedatectl` shows whether it is synchronised.",
    });
  });
}
