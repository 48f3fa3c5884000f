import { FTPError } from "basic-ftp";
import { BackupctlError, messageOf } from "../../errors.ts";
import { networkFailure } from "../../platform/network-failure.ts";

/** The connection ended under a command: whether the server has done it is not known. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** What servers say of a full disk beside 452 and 552; vsftpd has 451 "Failure writing to local file." for it. */
const FULL = /no space|disk full|quota|insufficient|writing to local file/i;
const DENIED = /denied|permission|not permitted|not allowed|forbidden|read-only/i;
const LOGIN_REFUSED: readonly number[] = [530, 532, 331, 332];

/** 550 and 553 mean missing as well as not permitted. */
export function isRefusal(error: unknown, ...codes: readonly number[]): error is FTPError {
  return error instanceof FTPError && (codes.length === 0 ? [550, 553] : codes).includes(error.code);
}

/** The error of a command as the storage port promises it. What is no failure of the server or the network is returned as it came. */
export function asStorageError(
  error: unknown,
  { storage, place, doing }: { readonly storage: string; readonly place: string; readonly doing: string },
): unknown {
  if (error instanceof BackupctlError) return error;
  const message = `storage "${storage}" cannot ${doing}: ${messageOf(error)}`;
  if (error instanceof ConnectionLost) {
    return new BackupctlError("STORAGE_FAILED", message, { cause: error, retryable: true });
  }
  if (!(error instanceof FTPError)) return error;
  if ([452, 552].includes(error.code) || FULL.test(error.message)) {
    return new BackupctlError("INSUFFICIENT_STORAGE", message, {
      cause: error,
      hint: `Free space under ${place}: \`backupctl list\` shows what is old, \`backupctl delete\` removes it.`,
    });
  }
  if ([530, 532].includes(error.code) || (error.code >= 500 && DENIED.test(error.message))) {
    return denied(message, { place, cause: error });
  }
  return new BackupctlError("STORAGE_FAILED", message, { cause: error, retryable: error.code < 500 });
}

export function denied(
  message: string,
  { place, cause }: { readonly place: string; readonly cause?: unknown },
): BackupctlError {
  return new BackupctlError("STORAGE_DENIED", message, {
    cause,
    hint: `Give the login the right to read, write, rename and remove below ${place} on the server.`,
  });
}

export function missingPlace(storage: string, place: string): BackupctlError {
  return new BackupctlError(
    "STORAGE_NOT_FOUND",
    `storage "${storage}": the login has no folder ${place} on the server`,
    {
      hint: "If a disk should be mounted there, mount it. If it is new, make it with `backupctl init`.",
    },
  );
}

interface LoginAttempt {
  readonly storage: string;
  /** Host and port. */
  readonly server: string;
  readonly user: string;
  /** Whether the server has agreed to TLS, or was not asked to. */
  readonly encrypted: boolean;
}

/** Why there is no connection. */
export function asLoginError(error: unknown, { storage, server, user, encrypted }: LoginAttempt): BackupctlError {
  const failed = (what: string, retryable: boolean, hint: string): BackupctlError =>
    new BackupctlError("STORAGE_FAILED", `storage "${storage}" cannot log in to ${server} as ${user}: ${what}`, {
      cause: error,
      retryable,
      hint,
    });
  if (!(error instanceof FTPError)) {
    const { what, retryable, hint } = networkFailure(error, server, "ca_file") ?? {
      what: messageOf(error),
      retryable: true,
    };
    return failed(
      what,
      retryable,
      hint ?? `See that an FTP server runs at ${server}, and that no firewall is between.`,
    );
  }
  if (!encrypted) {
    const hint = "If the server has no TLS, it can only be used with `tls: none` and `insecure: true`.";
    return failed(error.message, error.code < 500, hint);
  }
  if (LOGIN_REFUSED.includes(error.code)) {
    return new BackupctlError("STORAGE_DENIED", `storage "${storage}": ${server} refuses ${user}: ${error.message}`, {
      cause: error,
      hint: "Correct `user` or `password`, or see on the server why it refuses this login.",
    });
  }
  return failed(error.message, error.code < 500, "See what the server logged about it.");
}
