import { randomBytes } from "node:crypto";
import { BackupctlError, messageOf } from "../../errors.ts";
import { writeNewFile } from "../../platform/beside-file.ts";

/**
 * Makes a new key: 64 hex characters and a newline, readable by the owner only, flushed before it returns.
 * @throws `USAGE` if the file exists, whatever is in it: backups may depend on it.
 */
export async function generateKeyFile(file: string): Promise<void> {
  if (await written(file)) return;
  throw new BackupctlError("USAGE", `key file ${file} exists already`, {
    hint: "Keep it: backups sealed with it can't be opened without it. Choose another path for a new key.",
  });
}

async function written(file: string): Promise<boolean> {
  try {
    return await writeNewFile(file, `${randomBytes(32).toString("hex")}\n`);
  } catch (cause) {
    throw new BackupctlError("USAGE", `cannot write key file ${file}: ${messageOf(cause)}`, {
      cause,
      hint: "Choose a path that this user may write to.",
    });
  }
}
