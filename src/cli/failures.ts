import { type BackupctlError, isBackupctlError, messageOf } from "../errors.ts";
import { jsonText } from "./render/json.ts";
import { bad, dim, type Look } from "./render/look.ts";

interface FailureStyle {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly look: Look;
}

const REPORT = "This is a bug in backupctl. Please report it with the lines above and the command that you ran.";

/** What an error looks like on standard error, and the exit status that it ends the program with. */
export function renderFailure(
  error: unknown,
  style: FailureStyle,
): { readonly text: string; readonly exitCode: number } {
  return isBackupctlError(error) ? expected(error, style) : bug(error, style);
}

function expected(error: BackupctlError, { json, verbose, look }: FailureStyle) {
  const { code, message, hint, exitCode, data } = error;
  if (json) {
    const shown = { code, message: look.show(message), hint: hint === undefined ? null : look.show(hint) };
    return { text: jsonText({ error: { ...shown, exit_code: exitCode, data: data ?? null } }, 0), exitCode };
  }
  const lines = [look.line`${bad("error")}: ${code}: ${message}`, ...error.lines.map((line) => `  ${look.show(line)}`)];
  if (hint !== undefined) lines.push(look.line`hint: ${hint}`);
  if (verbose) lines.push(...causesOf(error).map((cause) => look.show(dim(`  because: ${cause}`))));
  return { text: lines.join("\n"), exitCode };
}

function causesOf(error: Error): readonly string[] {
  const causes: string[] = [];
  for (
    let { cause } = error;
    cause !== undefined && causes.length < 5;
    cause = cause instanceof Error ? cause.cause : undefined
  ) {
    causes.push(...messageOf(cause).split("\n"));
  }
  return causes;
}

function bug(error: unknown, { json, look }: FailureStyle) {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (json) {
    const shown = { code: "INTERNAL", message: look.show(messageOf(error)), hint: REPORT };
    const data = { stack: stack.split("\n").map((line) => look.show(line)) };
    return { text: jsonText({ error: { ...shown, exit_code: 1, data } }, 0), exitCode: 1 };
  }
  const lines = stack.split("\n").map((line) => look.show(line));
  return { text: [look.line`${bad("bug")}: ${lines[0] ?? ""}`, ...lines.slice(1), REPORT].join("\n"), exitCode: 1 };
}
