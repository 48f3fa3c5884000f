import { BackupctlError, messageOf } from "../../errors.ts";
import { errnoOf } from "../../platform/files.ts";

/** Another try may succeed: the network file system was away, or this process had too many files open. */
const PASSING = new Set(["EAGAIN", "EBUSY", "EIO", "EMFILE", "ENFILE", "EINTR", "ESTALE", "ETIMEDOUT", "EREMOTEIO"]);

/** The error of a failed system call as the storage port promises it; what is none is returned as it came. */
export function asStorageError(error: unknown, storage: string, root: string, doing: string): unknown {
  const errno = errnoOf(error);
  if (error instanceof BackupctlError || errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) return error;
  const message = `storage "${storage}" cannot ${doing}: ${messageOf(error)}`;
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return new BackupctlError("INSUFFICIENT_STORAGE", message, {
      cause: error,
      hint: `Free space under ${root}: \`backupctl list\` shows what is old, \`backupctl delete\` removes it.`,
    });
  }
  const hint = hintFor(errno, root);
  return new BackupctlError("STORAGE_FAILED", message, {
    cause: error,
    retryable: PASSING.has(errno),
    ...(hint === undefined ? {} : { hint }),
  });
}

function hintFor(errno: string, root: string): string | undefined {
  switch (errno) {
    case "EACCES":
    case "EPERM":
      return `Run backupctl as the owner of ${root}, or give this user access with chown or chmod.`;
    case "EROFS":
      return `${root} is mounted read-only. Check the disk, then remount it with \`mount -o remount,rw\`.`;
    case "EIO":
      return "The disk reports errors. Look at `dmesg`, and at the disk with `smartctl -a`.";
    default:
      return undefined;
  }
}
