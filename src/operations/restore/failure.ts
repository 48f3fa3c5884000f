import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { errnoOf } from "../../platform/files.ts";
import type { PreparedSource } from "./plan.ts";

/** The failure of one source's restore as an expected error that says what is old now and what is new. A bug stays as it is. */
export function asRestoreFailure(error: unknown, source: PreparedSource): unknown {
  const expected = isBackupctlError(error) ? error : fromSystem(error, source.plan);
  if (expected === undefined) return error;
  // Others may have come to their places already: TARGET_NOT_EMPTY says that nothing was done.
  const isBegun = source.place.shape === "tree" && !source.place.staged;
  const code = isBegun && expected.code === "TARGET_NOT_EMPTY" ? "RESTORE_FAILED" : expected.code;
  const hints = [expected.hint, whatIsThere(source)].filter((text) => text !== undefined);
  return new BackupctlError(code, expected.message, {
    ...(hints.length === 0 ? {} : { hint: hints.join(" ") }),
    lines: expected.lines,
    cause: expected.cause ?? error,
    ...(expected.data === undefined ? {} : { data: expected.data }),
    ...(code === expected.code ? { exitCode: expected.exitCode } : {}),
  });
}

/** What the system refused while a place was written; `undefined` for anything else. */
export function fromSystem(
  error: unknown,
  plan: { readonly name: string; readonly place: string },
): BackupctlError | undefined {
  const errno = isBackupctlError(error) ? undefined : errnoOf(error);
  if (errno === undefined) return undefined;
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return new BackupctlError(
      "INSUFFICIENT_STORAGE",
      `there is no room to write source "${plan.name}" to ${plan.place}`,
      {
        hint: "Free some space there, or give another place with --to PATH.",
        cause: error,
      },
    );
  }
  const links = refusedLinks(error, errno);
  if (links !== undefined) {
    return new BackupctlError(
      "RESTORE_FAILED",
      `source "${plan.name}" has ${links}, which the file system of ${plan.place} does not take (${errno})`,
      {
        hint: "Give a place on a file system that has them with --to PATH, or keep the source as a tar there: `backupctl download`.",
        cause: error,
      },
    );
  }
  return new BackupctlError("RESTORE_FAILED", `source "${plan.name}" can't be written to ${plan.place} (${errno})`, {
    hint: HINTS[errno] ?? "Run it as a user that may write there, or give another place with --to PATH.",
    cause: error,
  });
}

const HINTS: Readonly<Record<string, string>> = {
  ENAMETOOLONG: "Give a place with a shorter name with --to PATH.",
  EBADF: "It is closed, or open for reading only: send it to a file or a program, or give a place with --to PATH.",
};

const KINDS_OF_LINKS: Readonly<Record<string, string>> = { link: "hard links", symlink: "symlinks" };

/** What the file system has none of (FAT, exFAT), whoever asks for it; where rights are missing, the system says EACCES. */
function refusedLinks(error: unknown, errno: string): string | undefined {
  if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(errno)) return undefined;
  const call = error instanceof Error && "syscall" in error ? error.syscall : undefined;
  return typeof call === "string" ? KINDS_OF_LINKS[call] : undefined;
}

function whatIsThere({ place, plan }: PreparedSource): string | undefined {
  // What a stream's engine leaves it says itself: it writes beside the target and swaps last.
  if (place.shape === "stream") return undefined;
  if (place.staged) return `Nothing was put into ${plan.place}.`;
  return `Each file in ${plan.place} is the old one or the new one, whole; restoring again finishes it.`;
}
