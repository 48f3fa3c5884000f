import type { CleanupResult, CreateResult, ReplicateResult, VerifyResult } from "./operations.ts";

/** The exit status that each result means, by hand as by a schedule: src/cli/exit-statuses.ts says what they are. */

export function exitStatusOfCreate({ created, backup, storages }: CreateResult): number {
  const copied = storages.every(({ state }) => state === "complete");
  if (!created) return copied ? 0 : 3;
  if (backup === undefined || backup.status === "failed") return 1;
  return backup.status === "completed" && copied ? 0 : 3;
}

export function exitStatusOfVerify({ backups }: VerifyResult): number {
  const failed = backups.filter(({ passed }) => !passed);
  if (failed.length === 0) return 0;
  if (failed.some(({ unseen }) => unseen === undefined)) return 4;
  return failed.some(({ unseen }) => unseen === "locked") ? 12 : 3;
}

const DAMAGE: readonly string[] = ["BACKUP_CORRUPTED", "UNSUPPORTED_FORMAT", "BACKUP_VERIFICATION_FAILED"];

export function exitStatusOfReplicate({ dryRun, storages }: ReplicateResult): number {
  if (dryRun) return storages.some(({ failure }) => failure !== undefined) ? 3 : 0;
  if (storages.some(({ notCopied }) => notCopied.some(({ error }) => DAMAGE.includes(error.code)))) return 4;
  return storages.every(({ failure, lag }) => failure === undefined && lag.backups === 0) ? 0 : 3;
}

/** Of `cleanup`: 3 where something stayed that should have gone. */
export function exitStatusOfCleanup({ storages }: CleanupResult): number {
  return storages.every(({ failure, notRemoved }) => failure === undefined && notRemoved.length === 0) ? 0 : 3;
}
