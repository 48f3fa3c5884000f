import * as fs from "node:fs/promises";
import * as path from "node:path";
import { isBackupctlError } from "../../errors.ts";
import { runTool } from "../process.ts";
import { createTemporaryDirectory } from "../temporary-directory.ts";

/** This user's crontab; empty where there is none. @throws `TOOL_MISSING`, `TOOL_FAILED` */
export async function readCrontab(signal: AbortSignal): Promise<string> {
  try {
    const { stdout } = await runTool({ command: "crontab", args: ["-l"], env: { LC_ALL: "C" }, signal });
    return stdout.toString();
  } catch (error) {
    if (isBackupctlError(error, "TOOL_FAILED") && /no crontab for/i.test(error.message)) return "";
    throw error;
  }
}

/**
 * Replaces it whole, as `crontab` does: what it refuses changes nothing. It is given an open file: of a pipe it would take the end of this
 * process for the end of the crontab, and every line that had not come by then would be gone.
 */
export async function writeCrontab(text: string, signal: AbortSignal): Promise<void> {
  if (text === "") {
    await runTool({ command: "crontab", args: ["-r"], signal });
    return;
  }
  const input = await openFileOf(text);
  try {
    await runTool({ command: "crontab", args: ["-"], input, signal });
  } finally {
    await input.close();
  }
}

/** A file without a name, at its start. */
async function openFileOf(text: string): Promise<fs.FileHandle> {
  const scratch = await createTemporaryDirectory();
  try {
    const file = path.join(scratch.path, "crontab");
    await fs.writeFile(file, text);
    return await fs.open(file, "r");
  } finally {
    await scratch.dispose();
  }
}
