import { type BackupctlError, type ErrorCode, isBackupctlError } from "../../errors.ts";

const OF_A_STORAGE: readonly ErrorCode[] = [
  "STORAGE_FAILED",
  "STORAGE_NOT_FOUND",
  "STORAGE_DENIED",
  "CLOCK_SKEWED",
  "REPOSITORY_NOT_INITIALIZED",
  "REPOSITORY_MISMATCH",
];

/** The storage is away, lets nobody in, was never initialised or can't be told to be of this repository: not the end of what the others can do. */
export function isUnreachable(error: unknown): error is BackupctlError {
  if (!isBackupctlError(error)) return false;
  return OF_A_STORAGE.includes(error.code) || error.data?.of_the_marker === true;
}
