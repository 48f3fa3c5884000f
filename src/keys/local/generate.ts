import { randomBytes } from "node:crypto";
import { promises as fs } from "node:fs";
import * as path from "node:path";
import { BackupctlError, messageOf } from "../../errors.ts";
import { errnoOf, makePrivateDirectory, syncDirectory } from "../../platform/files.ts";

/**
 * Makes a new key: 64 hex characters and a newline, readable by the owner only, flushed before it returns.
 * @throws `USAGE` if the file exists, whatever is in it: backups may depend on it.
 */
export async function generateKeyFile(file: string): Promise<void> {
  try {
    await makePrivateDirectory(path.dirname(file));
    await writeNewKey(file);
    await syncDirectory(path.dirname(file));
  } catch (error) {
    if (error instanceof BackupctlError) throw error;
    throw new BackupctlError("USAGE", `cannot write key file ${file}: ${messageOf(error)}`, {
      cause: error,
      hint: "Choose a path that this user may write to.",
    });
  }
}

async function writeNewKey(file: string): Promise<void> {
  const handle = await fs.open(file, "wx", 0o600).catch((error: unknown) => {
    if (errnoOf(error) !== "EEXIST") throw error;
    throw new BackupctlError("USAGE", `key file ${file} exists already`, {
      hint: "Keep it: backups sealed with it can't be opened without it. Choose another path for a new key.",
    });
  });
  try {
    await handle.writeFile(`${randomBytes(32).toString("hex")}\n`);
    await handle.sync();
  } catch (error) {
    await fs.rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}
