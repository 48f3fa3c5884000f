import { BackupctlError } from "../../errors.ts";
import type { ServiceFailure } from "./service-failure.ts";

/** What can be wrong with a folder on a server that a login is given: `place`, as the operator knows it. */

export function deniedBelow(place: string): ServiceFailure & { readonly hint: string } {
  return {
    code: "STORAGE_DENIED",
    hint: `Give the login the right to read, write, rename and remove below ${place} on the server.`,
  };
}

export function fullBelow(place: string): ServiceFailure {
  return {
    code: "INSUFFICIENT_STORAGE",
    hint: `Free space under ${place}: \`backupctl list\` shows what is old, \`backupctl delete\` removes it.`,
  };
}

export const NO_FOLDER_HINT = "Set `path` to a folder, or move what lies there out of the way.";

/** `file` lies where the folder has to be, or one above it. */
export function fileInTheWay(storage: string, file: string): BackupctlError {
  return new BackupctlError("STORAGE_NOT_FOUND", `storage "${storage}": ${file} on the server is no folder`, {
    hint: NO_FOLDER_HINT,
  });
}

export function missingPlace(storage: string, place: string, cause?: unknown): BackupctlError {
  return new BackupctlError(
    "STORAGE_NOT_FOUND",
    `storage "${storage}": the login has no folder ${place} on the server`,
    { cause, hint: "If a disk should be mounted there, mount it. If it is new, make it with `backupctl init`." },
  );
}
