import { BackupctlError } from "../errors.ts";

/** Leavings of an unfinished put begin with this, so no object's name may. */
export const UNFINISHED_PREFIX = ".part-";

const NAME = /^[A-Za-z0-9._-]{1,255}$/;
/** What S3 allows; the narrowest of the storages decides for all. */
const MAX_KEY_LENGTH = 1024;

/** True for one member of an object key, or a folder on the way to one. */
export function isObjectName(name: string): boolean {
  return NAME.test(name) && name !== "." && name !== ".." && !name.startsWith(UNFINISHED_PREFIX);
}

/** @throws `STORAGE_FAILED` unless the key is one that every storage takes, and none that leads out of it. */
export function requireObjectKey(key: string): void {
  if (key.length > MAX_KEY_LENGTH || !key.split("/").every(isObjectName)) {
    throw new BackupctlError("STORAGE_FAILED", `${JSON.stringify(key)} is not an object name`, {
      hint: "Object names are /-separated members of A-Z a-z 0-9 . _ - as in docs/format.md.",
    });
  }
}

/** The folder `prefix` without its trailing slash; `""` stands for everything. @throws as `requireObjectKey`. */
export function requireFolder(prefix: string): string {
  const folder = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  if (folder !== "") requireObjectKey(folder);
  return folder;
}
