import { BackupctlError, type ErrorCode, isBackupctlError, messageOf } from "../../errors.ts";
import type { EngineContext } from "../engine.ts";
import type { PostgresOptions } from "./options.ts";
import { codeOf } from "./session.ts";

/** Errors that say what they need to already, wherever they come from. */
const PASSED_ON: readonly ErrorCode[] = [
  "TOOL_MISSING",
  "TOOL_TOO_OLD",
  "CONFIG_INVALID",
  "TARGET_NOT_EMPTY",
  "USAGE",
  "INTERRUPTED",
];

export interface FailureFrame {
  readonly code: "SOURCE_FAILED" | "RESTORE_FAILED";
  /** `dump of source "app" failed`. */
  readonly what: string;
  readonly context: EngineContext;
  readonly options: PostgresOptions;
}

/** The error to throw for anything thrown inside: the abort's reason, an error that stands by itself, or a failure of the frame. */
export function failureOf(error: unknown, frame: FailureFrame): unknown {
  if (frame.context.signal.aborted) return frame.context.signal.reason;
  if (PASSED_ON.some((code) => isBackupctlError(error, code)) || isBackupctlError(error, frame.code)) return error;
  // while restoring, anything but a tool's failure comes from the backup's stream: damaged, out of reach, without its key
  if (frame.code === "RESTORE_FAILED" && isBackupctlError(error) && error.code !== "TOOL_FAILED") return error;
  if (error instanceof TypeError || error instanceof ReferenceError) return error;
  const hint = hintFor(error);
  const code = frame.code === "RESTORE_FAILED" && isDiskFull(error) ? "INSUFFICIENT_STORAGE" : frame.code;
  return new BackupctlError(code, `${frame.what}: ${withoutPassword(messageOf(error), frame.options)}`, {
    hint: hint ?? "See what the server's log says of the same moment.",
    retryable: RETRYABLE.includes(stateOf(error) ?? ""),
  });
}

/**
 * Of the server. A tool prints what the server says without its code: the system's error, or where a part of a page still found
 * room ("wrote only 4096 of 8192 bytes") just the hint. Where the server speaks another language it stays a plain failure.
 */
function isDiskFull(error: unknown): boolean {
  return stateOf(error) === "53100" || /No space left on device|Check free disk space/.test(messageOf(error));
}

/** No tool is known to print it; should one, it ends here. The cause is left out of the error for the same reason. */
function withoutPassword(text: string, options: PostgresOptions): string {
  return options.password === undefined ? text : text.replaceAll(options.password, "***");
}

/** Refused, reset, timed out; too many connections, starting up, lock not available. */
const RETRYABLE = ["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "53300", "57P03", "55P03"];

function stateOf(error: unknown): string | undefined {
  return codeOf(error) ?? (error instanceof Error && error.cause instanceof Error ? codeOf(error.cause) : undefined);
}

function hintFor(error: unknown): string | undefined {
  if (isDiskFull(error)) return "Free some space on the server's disk, then run it again.";
  if (isBackupctlError(error)) return error.hint ?? hintForTool(error.message);
  switch (stateOf(error)) {
    case "ECONNREFUSED":
    case "ENOENT":
    case "ENOTFOUND":
      return "Check host and port of the source, and that the server runs: pg_isready -h HOST -p PORT.";
    case "28P01":
    case "28000":
      return "Check user and password of the source, and the server's pg_hba.conf.";
    case "3D000":
      return "List the databases that exist with psql -l, and correct the source's database.";
    case "42501":
      return "Give the source's user the right to read everything: GRANT pg_read_all_data TO the user (PostgreSQL 14 and later).";
    default:
      return hintForTool(messageOf(error));
  }
}

function hintForTool(message: string): string | undefined {
  if (/no matching tables were found|no matching table/.test(message)) {
    return "Name a table as schema.table, as pg_dump --table takes it; list them with psql -c '\\dt *.*'.";
  }
  if (/completion mark|not a whole custom archive/.test(message)) {
    return "The tool ended early without saying so: look at memory, disk and network of this host, then run it again.";
  }
  if (/permission denied/.test(message)) {
    return "Let the source's user read everything: GRANT pg_read_all_data TO the user (PostgreSQL 14 and later).";
  }
  return undefined;
}
