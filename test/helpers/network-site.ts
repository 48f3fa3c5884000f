import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CliResult, type RunningCli, startCli } from "./run-cli.ts";
import { tempDir } from "./temp-dir.ts";

const MIB = 1024 * 1024;

/** A site whose only storage lies behind a network, worked on through the built program. */
export interface NetworkSite {
  readonly directory: string;
  run(...args: readonly string[]): Promise<CliResult>;
  start(...args: readonly string[]): RunningCli;
}

interface NetworkSiteOptions {
  /** Files of 8 MiB, beside small ones. */
  readonly largeFiles?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** @param storage type and options, as a config has them */
export function makeNetworkSite(
  storage: Readonly<Record<string, unknown>>,
  { largeFiles = 5, env = {} }: NetworkSiteOptions = {},
): NetworkSite {
  const directory = tempDir();
  const www = join(directory, "www");
  mkdirSync(join(www, "folder"), { recursive: true });
  for (let n = 0; n < largeFiles; n++) writeFileSync(join(www, `large-${n}`), randomBytes(8 * MIB));
  for (let n = 0; n < 200; n++) writeFileSync(join(www, "folder", `small-${n}`), randomBytes(n));
  writeFileSync(join(directory, "main.key"), randomBytes(32).toString("hex"), { mode: 0o600 });
  const config = {
    state_dir: join(directory, "state"),
    storages: { site: storage },
    encryption: { keys: { main: { provider: "local", key_file: join(directory, "main.key") } } },
    sources: { www: { engine: "files", paths: [www] } },
  };
  // JSON is YAML.
  writeFileSync(join(directory, "backup.config.yaml"), JSON.stringify(config));
  const options = { home: directory, cwd: directory, timeoutMs: 150_000, env };
  return {
    directory,
    run: (...args) => startCli(args, options).result,
    start: (...args) => startCli(args, options),
  };
}
