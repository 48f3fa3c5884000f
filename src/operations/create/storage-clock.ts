import { CLOCK_TOLERANCE_MS, formatSpan } from "../../domain/timestamp.ts";
import { BackupctlError } from "../../errors.ts";
import type { Clock } from "../../platform/clock.ts";
import type { BackupObjects } from "./backup-objects.ts";

export interface HostTime {
  readonly startedAt: Date;
  readonly clock: Clock;
}

/**
 * A backup dated in the future would be the newest for as long as the clock was ahead. One that is dated too early lapses too early, but is
 * better than none: what there is to say of it is returned.
 * @param name of an object that the run has just put. @throws `CLOCK_SKEWED`; `STORAGE_FAILED` where it is gone
 */
export async function requireClock(
  objects: BackupObjects,
  name: string,
  { startedAt, clock }: HostTime,
): Promise<string | undefined> {
  let warning: string | undefined;
  await objects.confirmLead(async (storage, options) => {
    const key = `${objects.directory}/${name}`;
    const stored = await storage.stat(key, options);
    if (stored === undefined) {
      return new BackupctlError("STORAGE_FAILED", `${key} is missing in storage "${storage.name}" after its put`, {
        hint: `Look whether the storage keeps what it is given, with \`backupctl storage check ${storage.name}\`, then run backupctl create again.`,
      });
    }
    const there = stored.modifiedAt.getTime();
    const compared = (here: Date, how: string): string =>
      `this host's clock (${here.toISOString()}) is ${how} storage "${storage.name}" (${stored.modifiedAt.toISOString()})`;
    // The put may have taken long, so it is the time after it that must not lie before the storage's.
    const now = clock.now();
    const behindMs = there - now.getTime();
    warning =
      behindMs > CLOCK_TOLERANCE_MS
        ? `${compared(now, "behind")}: the backup is dated ${formatSpan(behindMs)} too early, and expires so; set this host's clock`
        : undefined;
    if (startedAt.getTime() <= there + CLOCK_TOLERANCE_MS) return undefined;
    return new BackupctlError("CLOCK_SKEWED", compared(startedAt, "ahead of"), {
      hint: "Set the clock of this host; `timedatectl` shows whether it is synchronised.",
    });
  });
  return warning;
}
