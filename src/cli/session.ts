import type { LoadedConfig } from "../config/config.ts";
import { isBackupctlError } from "../errors.ts";
import type { Operations } from "../operations/operations.ts";
import type { Command } from "./command.ts";
import type { ConfigMode, Context, Output } from "./context.ts";
import type { OpenRequest, Stream, Surroundings } from "./program.ts";
import { terminalPrompts } from "./prompts/terminal-prompts.ts";
import { jsonText } from "./render/json.ts";
import { caution, createLook, type Look } from "./render/look.ts";
import { colourLevel, loadPaint } from "./render/paint.ts";
import { openProgress, type ProgressView, silentProgress } from "./render/progress-view.ts";

interface Globals {
  readonly config: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean | undefined;
}

/** One command's run: what it sees of the world, opened as it asks and closed once. */
interface Session {
  readonly context: Context;
  /** Writes what went wrong to standard error, as it is. */
  fail(text: string): void;
  close(): Promise<void>;
}

const DEFAULT_COLUMNS = 80;
const MIN_DRAWN_COLUMNS = 10;

export async function openSession(
  world: Surroundings,
  globals: Globals,
  commands: readonly Command[],
): Promise<Session> {
  const { json, quiet, verbose } = globals;
  let loaded: Promise<LoadedConfig> | undefined;
  let opened: Promise<Operations> | undefined;
  let progress: ProgressView = silentProgress;
  let timezone = "UTC";

  const [look, noteLook] = await Promise.all([lookOf(world.stdout), lookOf(world.stderr)]);
  const note = (text: string): void => progress.around(() => world.stderr.write(`${text}\n`));
  const output = createOutput(world, { json, quiet, note, noteLook });

  async function lookOf({ isTerminal, columns }: Stream): Promise<Look> {
    const { env, clean, clock } = world;
    const wanted = globals.color !== false && !json;
    const paint = await loadPaint({ wanted, isTerminal: isTerminal || globals.color === true, env });
    const width = isTerminal ? columns() || DEFAULT_COLUMNS : Number.POSITIVE_INFINITY;
    return createLook({ columns: width, isTerminal, paint, clean, now: clock.now, timezone: () => timezone });
  }

  async function load(mode: ConfigMode, file = globals.config): Promise<LoadedConfig> {
    const { env, cwd } = world;
    const path = file === undefined ? {} : { path: file };
    const warn = (message: string): void => output.warn(noteLook.show(message));
    const result = await world.loadConfig({ ...path, env, cwd, mode, warn });
    timezone = result.config.timezone;
    for (const warning of result.warnings) warn(warning);
    return result;
  }

  function config(mode: ConfigMode): Promise<LoadedConfig> {
    loaded ??= load(mode);
    return loaded;
  }

  async function open(mode: ConfigMode | "none"): Promise<Operations> {
    const known = mode === "none" ? await configIfAny(() => config("strict")) : await config(mode);
    const log = json ? (line: string) => note(jsonText({ warning: line.replace(/^warning: /, "") }, 0)) : note;
    return world.openOperations({ config: known, signal: world.signal, logLevel: logLevelOf(globals), log });
  }

  async function withProgress<T>(work: (onProgress: ProgressView["onProgress"]) => Promise<T>): Promise<T> {
    if (json || quiet) return work(silentProgress.onProgress);
    const { stderr, clock, clean, env } = world;
    progress = await openProgress({
      // ora never ends clearing a line on a terminal that says it has no columns, as some containers' do.
      stream: stderr.isTerminal && (stderr.columns() ?? 0) >= MIN_DRAWN_COLUMNS ? stderr.raw : undefined,
      columns: () => stderr.columns() || DEFAULT_COLUMNS,
      monotonicMs: clock.monotonicMs,
      clean,
      colour: colourLevel({ wanted: globals.color !== false, isTerminal: stderr.isTerminal, env }) > 0,
      writeLine: (line) => world.stderr.write(`${line}\n`),
    });
    try {
      return await work(progress.onProgress);
    } finally {
      progress.stop();
      progress = silentProgress;
    }
  }

  const context: Context = {
    json,
    quiet,
    verbose,
    configPath: globals.config ?? (world.env.BACKUPCTL_CONFIG || undefined),
    interactive: !json && world.stdinIsTerminal && world.stderr.isTerminal,
    output,
    prompts: world.prompts ?? terminalPrompts(world.signal, world.stderr.raw),
    signal: world.signal,
    commands,
    look,
    noteLook,
    now: world.clock.now,
    config,
    reloadConfig: async () => load("strict", (await config("strict")).origin),
    operations: (mode) => {
      opened ??= open(mode);
      return opened;
    },
    withProgress,
  };
  return {
    context,
    fail: note,
    close: async () => {
      // A failed opening was reported by the command that asked for it.
      const operations = await opened?.catch(() => undefined);
      await operations?.close();
    },
  };
}

function logLevelOf({ json, quiet, verbose }: Globals): OpenRequest["logLevel"] {
  if (quiet || json) return "quiet";
  return verbose ? "verbose" : "normal";
}

/** For `init`: none is what it is there for; a broken one is an error. */
async function configIfAny(load: () => Promise<LoadedConfig>): Promise<LoadedConfig | undefined> {
  try {
    return await load();
  } catch (error) {
    if (isBackupctlError(error, "CONFIG_NOT_FOUND")) return undefined;
    throw error;
  }
}

interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly note: (text: string) => void;
  readonly noteLook: Look;
}

function createOutput({ stdout }: Surroundings, { json, quiet, note, noteLook }: OutputOptions): Output {
  const print = (text: string): void => stdout.write(`${text}\n`);
  return {
    print,
    printJson: (value) => print(jsonText(value)),
    report: (text) => {
      if (!quiet) print(text);
    },
    note: (text) => {
      if (!quiet && !json) note(text);
    },
    warn: (text) => note(json ? jsonText({ warning: text }, 0) : `${noteLook.show(caution("warning"))}: ${text}`),
    writeBytes: stdout.writeBytes,
    stdoutIsTerminal: stdout.isTerminal,
  };
}
