import type { LoadedConfig } from "../config/config.ts";
import type { LoadRequest } from "../config/load.ts";
import { BackupctlError, isBackupctlError } from "../errors.ts";
import type { Operations } from "../operations/operations.ts";
import { readOptions } from "./command.ts";
import { COMMANDS } from "./commands/all.ts";
import { renderFailure } from "./failures.ts";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { type Parsed, type ParsedOther, type ParsedRun, parseArguments } from "./parse.ts";
import type { Prompts } from "./prompts/prompts.ts";
import { createLook, type Look } from "./render/look.ts";
import { plainPaint } from "./render/paint.ts";
import { laterCommandError, unknownCommandError, usageError } from "./usage-errors.ts";

/** A stream of the program. */
export interface Stream {
  /** Never throws: the run goes on whoever takes what it says. */
  write(text: string): void;
  /** Resolves when all that was written was taken, or nobody reads any more. @throws `OUTPUT_FAILED` if some of it was lost, as on a full disk */
  flush(): Promise<void>;
  /** Resolves when the bytes were taken; rejects when nobody reads any more. */
  writeBytes(bytes: Uint8Array): Promise<void>;
  readonly isTerminal: boolean;
  /** Some terminals do not know, or say 0. */
  readonly columns: () => number | undefined;
  /** For what draws: the progress line and questions. */
  readonly raw: NodeJS.WritableStream;
}

export interface OpenRequest {
  /** Absent only for `init`, where there may be none yet. */
  readonly config: LoadedConfig | undefined;
  readonly signal: AbortSignal;
  readonly logLevel: "quiet" | "normal" | "verbose";
  /** Takes the lines of the log, already cleaned. */
  readonly log: (line: string) => void;
}

/** All that the command line needs of the world; `main.ts` has the real one, tests their own. */
export interface Surroundings {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly stdinIsTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly clock: { now(): Date; monotonicMs(): number };
  readonly version: () => string;
  /** Makes text from outside harmless: no secrets, no control characters, one line. */
  readonly clean: (text: string) => string;
  readonly loadConfig: (request: LoadRequest) => Promise<LoadedConfig>;
  readonly openOperations: (request: OpenRequest) => Promise<Operations>;
  /** Absent: asks on the terminal. */
  readonly prompts?: Prompts;
}

/** Runs one command line to its end and returns the exit status. Throws nothing; what went wrong is on standard error. */
export async function runProgram(argv: readonly string[], world: Surroundings): Promise<number> {
  const commander = await import("commander");
  let parsed: Parsed;
  try {
    parsed = await parseArguments(argv, COMMANDS, commander);
    if (parsed.kind === "run") return await runCommand(parsed, world);
    const status = settle(parsed, world);
    await world.stdout.flush();
    return status;
  } catch (error) {
    const usage = error instanceof commander.CommanderError ? usageError(error, argv, COMMANDS) : error;
    const failure = renderFailure(usage, { json: wantsJson(argv), verbose: false, look: plainLook(world) });
    world.stderr.write(`${failure.text}\n`);
    return failure.exitCode;
  }
}

/** Before the arguments are understood, their errors must already be JSON. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return (end < 0 ? argv : argv.slice(0, end)).includes("--json");
}

function plainLook({ stderr, clean, clock }: Surroundings): Look {
  const { isTerminal } = stderr;
  const columns = Number.POSITIVE_INFINITY;
  return createLook({ columns, isTerminal, paint: plainPaint, clean, now: clock.now, timezone: () => "UTC" });
}

function settle(parsed: ParsedOther, { stdout, stderr, version }: Surroundings): number {
  switch (parsed.kind) {
    case "print":
      stdout.write(parsed.text);
      return 0;
    case "version":
      stdout.write(`backupctl ${version()}\n`);
      return 0;
    case "nothing":
      stderr.write(parsed.text);
      return 2;
    case "later":
      throw laterCommandError(parsed.name);
    case "unknown":
      throw unknownCommandError(parsed.name, COMMANDS);
  }
}

async function runCommand(parsed: ParsedRun, world: Surroundings): Promise<number> {
  const globals = readOptions(GLOBAL_OPTIONS, parsed.globals);
  const { openSession } = await import("./session.ts");
  const session = await openSession(world, globals, COMMANDS);
  const style = { json: globals.json, verbose: globals.verbose, look: session.context.noteLook };
  const attempt = async (work: () => Promise<number>): Promise<number> => {
    try {
      return await work();
    } catch (error) {
      const failure = renderFailure(world.signal.aborted ? interruption(world.signal, error) : error, style);
      session.fail(failure.text);
      return failure.exitCode;
    }
  };
  const exitCode = await attempt(() => parsed.command.run(session.context, parsed.given, parsed.operands));
  const closed = await attempt(async () => {
    await session.close();
    return 0;
  });
  const told = await attempt(async () => {
    // Who interrupted it waits for no reader.
    if (!world.signal.aborted) await world.stdout.flush();
    return 0;
  });
  return exitCode || closed || told;
}

/** After a signal every error is a consequence of it, unless it is a bug. */
function interruption({ reason }: AbortSignal, error: unknown): unknown {
  const isConsequence =
    isBackupctlError(error) || (error instanceof Error && error.name === "AbortError") || error === reason;
  if (!isConsequence) return error;
  return isBackupctlError(reason) ? reason : new BackupctlError("INTERRUPTED", "interrupted", { cause: error });
}
