import { isBackupctlError } from "../../errors.ts";
import { runTool } from "../process.ts";

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

/** Replaces it whole, as `crontab` does: what it refuses changes nothing. */
export async function writeCrontab(text: string, signal: AbortSignal): Promise<void> {
  if (text === "") await runTool({ command: "crontab", args: ["-r"], signal });
  else await runTool({ command: "crontab", args: ["-"], input: oneChunk(text), signal });
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
