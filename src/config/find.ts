import { promises as fs } from "node:fs";
import { homedir } from "node:os";
import * as path from "node:path";
import { BackupctlError } from "../errors.ts";
import { errnoOf } from "../platform/files.ts";
import { describesConfig } from "./environment.ts";

type Environment = Readonly<Record<string, string | undefined>>;

interface FoundFile {
  readonly file: string;
  readonly text: string;
}

/**
 * The configuration file: the one asked for, or the first that exists. `undefined`: there is none, and the environment is a
 * whole configuration. @throws `CONFIG_NOT_FOUND`
 */
export async function findConfigFile(request: {
  readonly path?: string;
  readonly env: Environment;
  readonly cwd: string;
}): Promise<FoundFile | undefined> {
  const { env, cwd } = request;
  const fromEnv = env.BACKUPCTL_CONFIG === "" ? undefined : env.BACKUPCTL_CONFIG;
  const asked = request.path ?? fromEnv;
  if (asked !== undefined)
    return readAsked(path.resolve(cwd, asked), request.path === undefined ? "BACKUPCTL_CONFIG" : "--config");

  const places = [
    path.join(cwd, "backup.config.yaml"),
    path.join(cwd, "backup.config.yml"),
    path.join(env.XDG_CONFIG_HOME || path.join(homeOf(env), ".config"), "backupctl", "config.yaml"),
    "/etc/backupctl/config.yaml",
  ];
  for (const file of places) {
    const text = await readConfig(file);
    if (text !== undefined) return { file, text };
  }
  if (describesConfig(env)) return undefined;
  throw new BackupctlError("CONFIG_NOT_FOUND", `no configuration was found (looked for ${places.join(", ")})`, {
    hint: "Run `backupctl init` to make one, give one with --config, or set BACKUP_STORAGE_PATH and BACKUP_ENCRYPTION_KEY.",
    data: { places },
  });
}

async function readAsked(file: string, by: string): Promise<FoundFile> {
  const text = await readConfig(file);
  if (text !== undefined) return { file, text };
  throw new BackupctlError("CONFIG_NOT_FOUND", `the configuration ${file} (from ${by}) does not exist`, {
    hint: `Run \`backupctl init --config ${file}\` to make it, or correct ${by}.`,
    data: { places: [file] },
  });
}

async function readConfig(file: string): Promise<string | undefined> {
  try {
    return await fs.readFile(file, "utf8");
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw new BackupctlError(
      "CONFIG_INVALID",
      `the configuration ${file} can't be read (${errno ?? "unknown error"})`,
      {
        hint: `See who may read it: \`ls -l ${file}\`.`,
        cause: error,
      },
    );
  }
}

export function homeOf(env: Environment): string {
  return env.HOME || homedir();
}
