import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { type CliResult, runCli } from "./run-cli.ts";
import { tempDir } from "./temp-dir.ts";

/** A site that is worked on through the built command line alone, as an operator would. */
export interface CliSite {
  readonly directory: string;
  readonly configFile: string;
  /** Runs `backupctl` with the site's config. */
  run(...args: string[]): Promise<CliResult>;
  /** As `run` with `--json`, which must succeed with one of the exit codes given. */
  json<T>(schema: z.ZodType<T>, args: readonly string[], exitCodes?: readonly number[]): Promise<T>;
}

export interface CliSiteOptions {
  /** A second storage, in `{dir}/replica`. */
  readonly replica?: boolean;
  /** A storage `vault` with that role, in `{dir}/vault`. */
  readonly archive?: boolean;
  /** Further options of the storage `local`, as a flow map has them. */
  readonly storageOptions?: string;
  /** Further storages, as lines of the configuration. */
  readonly storages?: string;
}

export async function makeCliSite(
  sources: string,
  directory: string = tempDir(),
  { replica = false, archive = false, storageOptions = "", storages = "" }: CliSiteOptions = {},
): Promise<CliSite> {
  const configFile = join(directory, "backup.config.yaml");
  const keyFile = join(directory, "main.key");
  mkdirSync(directory, { recursive: true });
  writeFileSync(keyFile, randomBytes(32).toString("hex"), { mode: 0o600 });
  writeFileSync(
    configFile,
    `version: 1
name: main-job
state_dir: ${directory}/state
storages:
  local: {type: local, path: ${directory}/repository, ${storageOptions}}
${replica ? `  second: {type: local, role: replica, path: ${directory}/replica}` : ""}
${archive ? `  vault: {type: local, role: archive, path: ${directory}/vault}` : ""}
${storages}
encryption:
  keys:
    main: {provider: local, key_file: ${keyFile}}
sources:
${sources.replaceAll("{dir}", directory)}
`,
  );
  const run = (...args: string[]): Promise<CliResult> =>
    runCli([...args, "--config", configFile], { home: directory, cwd: directory });
  const site: CliSite = {
    directory,
    configFile,
    run,
    async json(schema, args, exitCodes = [0]) {
      const result = await run(...args, "--json");
      if (!exitCodes.includes(result.exitCode ?? -1)) {
        throw new Error(
          `backupctl ${args.join(" ")} exited with ${result.exitCode}:\n${result.stdout}\n${result.stderr}`,
        );
      }
      return schema.parse(result.json());
    },
  };
  const init = await run("init");
  if (init.exitCode !== 0) throw new Error(`backupctl init failed:\n${init.stderr}`);
  return site;
}
