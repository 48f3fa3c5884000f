import { FTPError } from "basic-ftp";
import { BackupctlError, messageOf } from "../../errors.ts";
import { networkFailure } from "../../platform/network-failure.ts";
import { deniedBelow, fullBelow } from "../network/folder-failures.ts";
import { BUSY, type ServiceFailure, toStorageError } from "../network/service-failure.ts";

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
  return toStorageError(error, failureOf(error, place), { storage, doing });
}

function failureOf(error: unknown, place: string): ServiceFailure | undefined {
  const what = messageOf(error);
  if (error instanceof ConnectionLost) return { ...BUSY, what };
  if (!(error instanceof FTPError)) return undefined;
  if ([452, 552].includes(error.code) || FULL.test(error.message)) return { ...fullBelow(place), what };
  const isDenied = [530, 532].includes(error.code) || (error.code >= 500 && DENIED.test(error.message));
  return isDenied ? { ...deniedBelow(place), what } : { code: "STORAGE_FAILED", retryable: error.code < 500, what };
}

export function denied(
  message: string,
  { place, cause }: { readonly place: string; readonly cause?: unknown },
): BackupctlError {
  return new BackupctlError("STORAGE_DENIED", message, { cause, hint: deniedBelow(place).hint });
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
