import { messageOf } from "../../errors.ts";
import { deniedBelow, fullBelow, NO_FOLDER_HINT } from "../network/folder-failures.ts";
import { BUSY, type ServiceFailure, toStorageError } from "../network/service-failure.ts";
import { ConnectionLost } from "./session.ts";

/** The status codes of SFTP version 3 that are told apart here. OpenSSH says `failure` for a full disk, as for much else. */
const STATUS = { noSuchFile: 2, permissionDenied: 3, failure: 4, unsupported: 8 } as const;

export function hasStatus(error: unknown, ...statuses: readonly (keyof typeof STATUS)[]): boolean {
  const { code } = error as { readonly code?: unknown };
  return error instanceof Error && statuses.some((status) => STATUS[status] === code);
}

/** A file, or whatever else is no folder, where a folder has to be. */
export class FileInTheWay extends Error {
  override readonly name = "FileInTheWay";
}

/** The error of a request as the storage port promises it. What has no status is a bug, and returned as it came. */
export function asStorageError(
  error: unknown,
  { storage, place, doing }: { readonly storage: string; readonly place: string; readonly doing: string },
): unknown {
  return toStorageError(error, failureOf(error, place), { storage, doing });
}

function failureOf(error: unknown, place: string): ServiceFailure | undefined {
  const what = messageOf(error);
  if (error instanceof ConnectionLost) return { ...BUSY, what };
  if (error instanceof FileInTheWay) return { code: "STORAGE_NOT_FOUND", what, hint: NO_FOLDER_HINT };
  if (!(error instanceof Error && "code" in error && typeof error.code === "number")) return undefined;
  if (hasStatus(error, "permissionDenied")) return { ...deniedBelow(place), what };
  return { code: "STORAGE_FAILED", retryable: hasStatus(error, "failure"), what };
}

export function fullPlace(storage: string, place: string, doing: string, cause: unknown): unknown {
  return toStorageError(cause, { ...fullBelow(place), what: "its disk is full" }, { storage, doing });
}
