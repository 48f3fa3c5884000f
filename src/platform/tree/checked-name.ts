import { BackupctlError } from "../../errors.ts";
import type { BytePath } from "../walk.ts";

/** @throws `BACKUP_CORRUPTED` for a name that no honest backup has: it would lead out of the target */
export function checkedName(name: Buffer): BytePath {
  const path = name.toString("latin1");
  const members = path.split("/");
  if (path.includes("\0") || members.some((member) => member === "" || member === "." || member === "..")) {
    throw new BackupctlError(
      "BACKUP_CORRUPTED",
      `the backup has an entry with an impossible name: ${JSON.stringify(path)}`,
      {
        hint: "Check the backup with: backupctl verify --deep",
      },
    );
  }
  return path;
}
