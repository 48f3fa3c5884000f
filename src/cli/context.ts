import type { LoadedConfig } from "../config/config.ts";
import type { OnProgress, Operations } from "../operations/operations.ts";
import type { Command } from "./command.ts";
import type { Prompts } from "./prompts/prompts.ts";
import type { Look } from "./render/look.ts";

/** What a command can use. Nothing of it is opened before it is asked for. */
export interface Context {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** `--config` or BACKUPCTL_CONFIG, for init, which writes it. */
  readonly configPath: string | undefined;
  /** True when a question can be asked and seen. */
  readonly interactive: boolean;
  readonly output: Output;
  readonly prompts: Prompts;
  readonly signal: AbortSignal;
  readonly commands: readonly Command[];
  /** For a command's text on standard output, and for what goes to standard error. */
  readonly look: Look;
  readonly noteLook: Look;
  now(): Date;
  /**
   * The configuration, loaded once; its warnings are printed. `rescue` lets what is wrong outside storages and encryption pass
   * with a warning. It also sets the time zone that `look` shows times in.
   */
  config(mode: ConfigMode): Promise<LoadedConfig>;
  /** The file that `config` was loaded from, read again, strictly. */
  reloadConfig(): Promise<LoadedConfig>;
  /** Opened once, and closed by the program. `none`: there may be no configuration yet (init). */
  operations(mode: ConfigMode | "none"): Promise<Operations>;
  /** Shows progress while `work` runs: a line on a terminal, else a line a minute, nothing with --json or --quiet. */
  withProgress<T>(work: (onProgress: OnProgress) => Promise<T>): Promise<T>;
}

export type ConfigMode = "strict" | "rescue";

export interface Output {
  /** A result that was asked for: standard output. */
  print(text: string): void;
  /** The one result of a run with --json. */
  printJson(value: unknown): void;
  /** What a command did: standard output, unless --quiet. */
  report(text: string): void;
  /** What it is about to do, in text: standard error; not with --quiet or --json. */
  note(text: string): void;
  /** Standard error, always; with --json a line `{"warning": …}`. */
  warn(text: string): void;
  /** Bytes of a download, with back pressure. */
  writeBytes(bytes: Uint8Array): Promise<void>;
  readonly stdoutIsTerminal: boolean;
}
