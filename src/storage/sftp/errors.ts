import { BackupctlError, messageOf } from "../../errors.ts";
import { ConnectionLost } from "./session.ts";

/** The status codes of SFTP version 3 that are told apart here. OpenSSH says `failure` for a full disk, as for much else. */
const STATUS = { noSuchFile: 2, permissionDenied: 3, failure: 4, unsupported: 8 } as const;

export function hasStatus(error: unknown, ...statuses: readonly (keyof typeof STATUS)[]): boolean {
  const { code } = error as { readonly code?: unknown };
  return error instanceof Error && statuses.some((status) => STATUS[status] === code);
}

/** The error of a request as the storage port promises it. What has no status is a bug, and returned as it came. */
export function asStorageError(
  error: unknown,
  { storage, place, doing }: { readonly storage: string; readonly place: string; readonly doing: string },
): unknown {
  if (error instanceof BackupctlError) return error;
  const message = `storage "${storage}" cannot ${doing}: ${messageOf(error)}`;
  if (error instanceof ConnectionLost) {
    return new BackupctlError("STORAGE_FAILED", message, { cause: error, retryable: true });
  }
  if (typeof (error as { readonly code?: unknown }).code !== "number") return error;
  if (hasStatus(error, "permissionDenied")) {
    return new BackupctlError("STORAGE_DENIED", message, {
      cause: error,
      hint: `Give the login the right to read, write and remove below ${place} on the server.`,
    });
  }
  return new BackupctlError("STORAGE_FAILED", message, { cause: error, retryable: hasStatus(error, "failure") });
}

export function missingPlace(storage: string, place: string, cause?: unknown): BackupctlError {
  return new BackupctlError("STORAGE_NOT_FOUND", `storage "${storage}": there is no folder ${place} on the server`, {
    cause,
    hint: "If a disk should be mounted there, mount it. If it is new, make it with `backupctl init`.",
  });
}

export function fullPlace(storage: string, place: string, doing: string, cause: unknown): BackupctlError {
  return new BackupctlError("INSUFFICIENT_STORAGE", `storage "${storage}" cannot ${doing}: its disk is full`, {
    cause,
    hint: `Free space under ${place}: \`backupctl list\` shows what is old, \`backupctl delete\` removes it.`,
  });
}
