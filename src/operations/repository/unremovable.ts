import { type BackupctlError, isBackupctlError } from "../../errors.ts";

/** The storage does not let go of an object: this login may not remove it, or nobody may for a time. */
export function isUnremovable(error: unknown): error is BackupctlError {
  return isBackupctlError(error, "STORAGE_DENIED") || isBackupctlError(error, "RETENTION_POLICY_VIOLATION");
}
