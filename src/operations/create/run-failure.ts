import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { SourceOutcome } from "./sources.ts";

/** Of a run without a single sound source. */
export function allFailed(outcomes: readonly SourceOutcome[]): BackupctlError {
  const [first] = outcomes;
  const error = first?.result.error;
  if (outcomes.length === 1 && error !== undefined) {
    return new BackupctlError(error.code, error.message, error.hint === undefined ? {} : { hint: error.hint });
  }
  const reasons = outcomes.map(({ result }) => result.error?.message ?? "").join("; ");
  return new BackupctlError("BACKUP_FAILED", `all ${outcomes.length} sources failed: ${reasons}`, {
    hint: "Correct the first of them, then run backupctl create again.",
    data: { sources: outcomes.map(({ result }) => result.name) },
  });
}

/** What ended a run, as it is told. A bug stays as it is. */
export function asRunFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted && isBackupctlError(signal.reason)) return signal.reason;
  if (isBackupctlError(error)) return error;
  if (error instanceof Error && error.name === "DamageError") {
    return new BackupctlError(
      "BACKUP_VERIFICATION_FAILED",
      `what was about to be stored is not what was read: ${error.message}`,
      {
        hint: "This points at faulty memory or disk. Test the machine's memory, then run backupctl create again.",
        cause: error,
      },
    );
  }
  return error;
}
