import { BackupctlError, isBackupctlError, messageOf } from "../errors.ts";
import { errnoOf } from "../platform/files.ts";

const MORE_FILES = "Let this process open more files: `ulimit -n 1024`, or LimitNOFILE= of a systemd unit.";
/** Said by the system where it has no room, no more open files, or a disk that fails. */
const REFUSALS: Readonly<Record<string, string>> = {
  ENOSPC: "Free some space there, or set state_dir in the config, or BACKUPCTL_STATE_DIR, to a folder with room.",
  EDQUOT: "Free some space there, or set state_dir in the config, or BACKUPCTL_STATE_DIR, to a folder with room.",
  EROFS:
    "Its file system is mounted read-only. Look at `dmesg`, or set state_dir in the config, or BACKUPCTL_STATE_DIR, to another folder.",
  EIO: "The disk reports errors. Look at `dmesg`, or set state_dir in the config, or BACKUPCTL_STATE_DIR, to a folder on another one.",
  EMFILE: MORE_FILES,
  ENFILE: MORE_FILES,
  ERR_WORKER_INIT_FAILED: MORE_FILES,
};

/** What to do where the state directory takes nothing, if the system says why; `undefined` for any other error. */
export function stateHint(error: unknown): string | undefined {
  return REFUSALS[errnoOf(error) ?? ""];
}

/**
 * What the system refuses to a storage, a source or a target is said by their adapters. What is left happens where a run keeps its
 * own files: in the state directory. Anything else stays as it is.
 */
export function asStateFailure(error: unknown, stateDirectory: string): unknown {
  const hint = isBackupctlError(error) ? undefined : stateHint(error);
  if (hint === undefined) return error;
  const isFull = errnoOf(error) === "ENOSPC" || errnoOf(error) === "EDQUOT";
  const what = hint === MORE_FILES ? "too many files are open" : `state directory ${stateDirectory} can't be used`;
  const message = `${what}: ${messageOf(error)}`;
  return new BackupctlError(isFull ? "INSUFFICIENT_STORAGE" : "CATALOG_FAILED", message, { hint, cause: error });
}
