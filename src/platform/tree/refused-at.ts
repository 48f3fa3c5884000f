import { BackupctlError } from "../../errors.ts";
import { errnoOf } from "../files.ts";

const ELSEWHERE = "or restore elsewhere with --to PATH";

const HINTS: Readonly<Record<string, string>> = {
  EACCES: `Run it as a user that may write there, ${ELSEWHERE}.`,
  EPERM: `See whether it or its folder is immutable (\`lsattr -d\`; \`chattr -i\` ends that) or another user's, ${ELSEWHERE}.`,
  EBUSY: `Something is mounted on it: unmount that, leave the file out with --exclude, ${ELSEWHERE}.`,
  EROFS: `Its file system is mounted read-only: mount it writable, ${ELSEWHERE}.`,
};

/** Why an entry of the target can't be written or replaced; `undefined` where that is no matter of this entry alone. */
export function refusedAt(shown: string, error: unknown): BackupctlError | undefined {
  const errno = errnoOf(error) ?? "";
  const hint = HINTS[errno];
  // A file system that has no links says so, of whichever is the first.
  if (hint === undefined || (errno === "EPERM" && isLink(error))) return undefined;
  return new BackupctlError("RESTORE_FAILED", `${shown} can't be written or replaced (${errno})`, {
    hint,
    cause: error,
  });
}

function isLink(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && ["link", "symlink"].includes(String(error.syscall));
}
