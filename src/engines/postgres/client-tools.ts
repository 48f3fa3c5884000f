import { access, constants, readdir } from "node:fs/promises";
import * as path from "node:path";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { runTool } from "../../platform/process.ts";
import type { EngineTools } from "../engine.ts";

type ClientTool = "pg_dump" | "pg_dumpall" | "pg_restore";

export interface FoundTool {
  readonly command: string;
  readonly major: number;
  /** As the tool says it: `15.18`. */
  readonly version: string;
}

interface ToolChoice {
  readonly tool: ClientTool;
  /** The oldest major that will do: the server's, or that of the pg_dump which wrote the archive. */
  readonly atLeast: number;
  readonly tools: EngineTools;
  readonly binDirectory?: string;
  readonly signal: AbortSignal;
}

/** Where packages put each major version beside the others. */
const VERSIONED_FOLDERS = [
  { parent: "/usr/lib/postgresql", name: /^\d+$/, bin: "bin" },
  { parent: "/usr", name: /^pgsql-\d+$/, bin: "bin" },
  { parent: "/opt/homebrew/opt", name: /^(postgresql|libpq)(@\d+)?$/, bin: "bin" },
] as const;

/**
 * The oldest installed version of the tool that is not older than asked, because a newer one writes statements that an older
 * server doesn't know. A path given in the configuration is the only candidate.
 * @throws `TOOL_MISSING` if there is none at all, `TOOL_TOO_OLD` if all are older.
 */
export async function chooseTool(choice: ToolChoice): Promise<FoundTool> {
  const found: FoundTool[] = [];
  const commands = await candidates(choice);
  for (const command of commands) {
    const version = await versionOf(command, choice);
    // None is better, so the others need not be asked: what lies in PATH may be a wrapper that takes longer than all else.
    if (version?.major === choice.atLeast) return version;
    if (version !== undefined) found.push(version);
  }
  if (found.length === 0) {
    const where = commands.length === 0 ? "" : ` at ${commands.join(", ")}`;
    throw new BackupctlError("TOOL_MISSING", `${choice.tool} was not found${where}`, { hint: installHint(choice) });
  }
  const fitting = found.filter((tool) => tool.major >= choice.atLeast).sort((a, b) => a.major - b.major);
  const [best] = fitting;
  if (best !== undefined) return best;
  const versions = found.map((tool) => `${tool.command} is ${tool.version}`).join(", ");
  throw new BackupctlError(
    "TOOL_TOO_OLD",
    `${choice.tool} is older than the PostgreSQL ${choice.atLeast} it has to work with: ${versions}`,
    {
      hint: installHint(choice),
    },
  );
}

function installHint({ tool, atLeast }: ToolChoice): string {
  return `Install it (apt install postgresql-client-${atLeast}), or give the path of a newer one in the config under tools: ${tool}.`;
}

async function candidates({ tool, tools, binDirectory }: ToolChoice): Promise<readonly string[]> {
  const configured = tools[tool];
  if (configured !== undefined) return [configured];
  if (binDirectory !== undefined) return [path.join(binDirectory, tool)];
  const folders = [...(await versionedFolders()), ...(process.env.PATH ?? "").split(path.delimiter)];
  const executable = await Promise.all(
    folders
      .filter((folder) => path.isAbsolute(folder))
      .map(async (folder) => await ifExecutable(path.join(folder, tool))),
  );
  return [...new Set(executable.filter((file) => file !== undefined))];
}

async function versionedFolders(): Promise<readonly string[]> {
  const found = await Promise.all(
    VERSIONED_FOLDERS.map(async ({ parent, name, bin }) => {
      const names = await readdir(parent).catch(() => []);
      return names.filter((entry) => name.test(entry)).map((entry) => path.join(parent, entry, bin));
    }),
  );
  return found.flat();
}

async function ifExecutable(file: string): Promise<string | undefined> {
  return await access(file, constants.X_OK).then(
    () => file,
    () => undefined,
  );
}

/** `undefined` for what is not there; a tool that is there and can't say its version is a failure worth hearing of. */
async function versionOf(command: string, { signal }: ToolChoice): Promise<FoundTool | undefined> {
  try {
    const { stdout } = await runTool({ command, args: ["--version"], env: { LC_ALL: "C" }, signal, timeoutMs: 10_000 });
    const match = /\(PostgreSQL\) ((\d+)[^\s]*)/.exec(stdout.toString("utf8"));
    if (match?.[1] !== undefined && match[2] !== undefined)
      return { command, major: Number(match[2]), version: match[1] };
  } catch (error) {
    if (isBackupctlError(error, "TOOL_MISSING")) return undefined;
    throw error;
  }
  throw new BackupctlError("TOOL_FAILED", `${command} --version does not look like one of PostgreSQL's programs`, {
    hint: "Correct the path in the config under tools.",
  });
}
