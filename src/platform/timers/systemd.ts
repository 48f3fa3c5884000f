import * as os from "node:os";
import * as path from "node:path";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import {
  errnoOf,
  listDirectory,
  makeDirectory,
  readFileIfExists,
  removeFileIfExists,
  writeFileAtomically,
} from "../files.ts";
import { runTool } from "../process.ts";

/** Where units of the system's manager, or of this user's own, are put by hand. */
export function unitDirectory({ user }: { readonly user: boolean }): string {
  if (!user) return "/etc/systemd/system";
  return path.join(process.env.XDG_CONFIG_HOME || path.join(os.homedir(), ".config"), "systemd", "user");
}

/** Units there that are named after this program, with the first line of each. */
export async function listUnits(directory: string): Promise<ReadonlyMap<string, string>> {
  const names = (await listDirectory(directory)).filter((name) => /^backupctl-.*\.(service|timer)$/.test(name));
  const texts = await Promise.all(names.map((name) => readFileIfExists(path.join(directory, name))));
  return new Map(names.map((name, index) => [name, texts[index]?.toString().split("\n", 1)[0] ?? ""]));
}

/** Removes what a run that was killed left beside it. @throws `USAGE` where this user may not write there */
export async function writeUnit(directory: string, name: string, text: string): Promise<void> {
  try {
    await makeDirectory(directory);
    for (const other of await listDirectory(directory))
      if (other.startsWith(`.${name}.`)) await removeFileIfExists(path.join(directory, other));
    await writeFileAtomically(path.join(directory, name), text, 0o644);
  } catch (error) {
    throw asDenied(directory, error);
  }
}

export async function removeUnit(directory: string, name: string): Promise<void> {
  try {
    await removeFileIfExists(path.join(directory, name));
  } catch (error) {
    throw asDenied(directory, error);
  }
}

interface Manager {
  /** This user's own, not the system's. */
  readonly user: boolean;
  readonly signal: AbortSignal;
}

/**
 * To be asked before units change: a manager that is not there would leave them half installed, or half removed.
 * @param otherwise what to do where there is none, as a sentence
 * @throws `TOOL_FAILED` or `TOOL_MISSING` where it can't be asked
 */
export async function requireManager(manager: Manager, otherwise: string): Promise<void> {
  try {
    await systemctl(["show", "--property=Version"], manager);
  } catch (error) {
    if (!isBackupctlError(error, "TOOL_FAILED") && !isBackupctlError(error, "TOOL_MISSING")) throw error;
    const whose = manager.user ? "this user's own systemd" : "systemd";
    throw new BackupctlError(error.code, `${whose} can't be asked, and nothing was changed: ${error.message}`, {
      hint: manager.user ? `${waysToOwnManager()} ${otherwise}` : otherwise,
      cause: error,
    });
  }
}

/** `su` and `sudo` open no session, and where nobody is logged in there is no such manager. */
function waysToOwnManager(): string {
  const { username, uid } = os.userInfo();
  return `Log in as ${username} itself; or run \`loginctl enable-linger ${username}\` as root, and this with XDG_RUNTIME_DIR=/run/user/${uid}.`;
}

/** @throws `TOOL_FAILED` with what it says */
export async function systemctl(args: readonly string[], { user, signal }: Manager): Promise<void> {
  await runTool({ command: "systemctl", args: [...(user ? ["--user"] : []), "--quiet", ...args], signal });
}

function asDenied(directory: string, error: unknown): unknown {
  if (!["EACCES", "EPERM", "EROFS"].includes(errnoOf(error) ?? "")) return error;
  return new BackupctlError("USAGE", `units can't be written to ${directory}: ${messageOf(error)}`, {
    hint: "Run it as root, or with --user for a user's own systemd.",
    cause: error,
  });
}
