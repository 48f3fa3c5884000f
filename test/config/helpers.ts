import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoadedConfig } from "../../src/config/config.ts";
import { type LoadRequest, loadConfig } from "../../src/config/load.ts";
import { BackupctlError } from "../../src/errors.ts";
import { tempDir } from "../helpers/temp-dir.ts";

export const KEY = "0f".repeat(32);

/** The least that is a whole configuration: sections are added below it. */
export const MINIMAL = `storages:
  main: { type: local, path: backups }
encryption:
  keys: { site: { provider: local, key: "${KEY}" } }
`;

export interface Written extends Partial<LoadRequest> {
  readonly directory?: string;
}

/** Writes the text as ./backup.config.yaml of a new folder and loads it from there. */
export async function loadText(text: string, request: Written = {}): Promise<LoadedConfig> {
  const directory = request.directory ?? tempDir();
  writeFileSync(join(directory, "backup.config.yaml"), text);
  const { directory: _, ...rest } = request;
  return loadConfig({ cwd: directory, env: { HOME: directory }, ...rest });
}

export async function failureOf(loading: Promise<unknown>): Promise<BackupctlError> {
  const failure = await loading.then(
    () => new Error("it went well"),
    (error: unknown) => error,
  );
  if (failure instanceof BackupctlError) return failure;
  throw failure;
}

/** A reference to an environment variable, e.g. `variable("A:-default")`. */
export function variable(inner: string): string {
  return ["$", "{", inner, "}"].join("");
}
