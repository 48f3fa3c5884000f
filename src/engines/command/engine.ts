import * as path from "node:path";
import { durationMs, parseFiniteDuration } from "../../domain/duration.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { runTool, streamTool, type ToolRun } from "../../platform/process.ts";
import type {
  DumpContext,
  Engine,
  EngineContext,
  EngineTools,
  RestoreOutcome,
  StreamDump,
  StreamRestore,
  TargetRequest,
} from "../engine.ts";
import { restoreFile, spooled, targetFileState } from "../file-target.ts";
import { type CommandOptions, options as schema } from "./options.ts";

const NOTHING_KNOWN_BYTES = 64 * 1024;

/** The output of any program, e.g. an export of settings; restored by another program, or into a file. */
export function openEngine(options: CommandOptions, tools: EngineTools): Engine {
  return {
    estimate: async () => ({ sizeBytes: NOTHING_KNOWN_BYTES, items: 1, uncertain: true }),
    dump: (context) => dumpOutput(options, tools, context),
    inspectTarget: (request) => inspectTarget(request, merged(options, request)),
    restore: (request, context) => restoreOutput(request, merged(options, request), tools, context),
    download: { files: (entries) => entries.map(({ name, offset, size }) => ({ name, offset, size })) },
  };
}

async function dumpOutput(options: CommandOptions, tools: EngineTools, context: DumpContext): Promise<StreamDump> {
  context.signal.throwIfAborted();
  const run = runOf(options.command, options, tools, context.signal);
  context.activity(run.command);
  const tool = await streamTool(run);
  let size = 0;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    let readAll = false;
    try {
      for await (const piece of tool.stdout) {
        if (!(piece instanceof Uint8Array)) throw new TypeError("a program's output is bytes");
        size += piece.length;
        yield piece;
      }
      readAll = true;
    } catch (error) {
      throw failureOf(error, context);
    } finally {
      // A program that has closed its output may still be about to end well.
      if (!readAll) tool.kill();
    }
  }
  return {
    shape: "stream",
    kind: "output",
    bytes: pieces(),
    async finish() {
      await tool.finish().catch((error: unknown) => {
        throw failureOf(error, context);
      });
      if (size === 0 && !options.allow_empty) {
        throw new BackupctlError("SOURCE_FAILED", `source "${context.sourceName}": ${run.command} printed nothing`, {
          hint: "Run the command by hand. If no output is right, set allow_empty: true.",
        });
      }
      return {
        entries: [{ name: `${context.sourceName}.out`, type: "output", offset: 0, size }],
        counts: { bytes: size },
        versions: { method: path.basename(run.command) },
        unreadable: [],
        warnings: [],
      };
    },
  };
}

function failureOf(error: unknown, { signal, sourceName }: DumpContext): unknown {
  if (signal.aborted) return signal.reason;
  if (!isBackupctlError(error)) return error;
  return new BackupctlError("SOURCE_FAILED", `source "${sourceName}": ${error.message}`, {
    hint: error.hint ?? "Run the command by hand as the same user; a failing command is never a backup.",
    cause: error,
  });
}

async function inspectTarget(request: TargetRequest, options: CommandOptions) {
  if (request.to !== undefined) return targetFileState(request.to, nameIn(request));
  const command = options.restore_command;
  const nowhere = { exists: false, contents: [], overwrites: [], downtime: false };
  if (command === undefined) {
    return { ...nowhere, place: "nowhere", refusal: NO_WAY_BACK };
  }
  const [program = ""] = argumentsOf(command);
  return { ...nowhere, place: `the command ${program}`, overwrites: [`whatever ${program} replaces with its input`] };
}

const NO_WAY_BACK = "this source has no restore_command: give --to FILE, or use `backupctl download`";

async function restoreOutput(
  request: StreamRestore,
  options: CommandOptions,
  tools: EngineTools,
  context: EngineContext,
): Promise<RestoreOutcome> {
  if (request.to !== undefined) return restoreFile(request.to, { name: nameIn(request) }, request, context);
  if (options.restore_command === undefined) {
    throw new BackupctlError("RESTORE_FAILED", `source "${context.sourceName}" can't be restored to its own place`, {
      hint: "Give --to FILE, use `backupctl download`, or set restore_command in the config.",
    });
  }
  const run = runOf(options.restore_command, options, tools, context.signal);
  // All of it is on this host before the program starts, which reads the file itself: one whose input is cut can't know that more was to come.
  await spooled(request, context, async (input) => {
    context.activity(run.command);
    request.coming?.();
    try {
      await runTool({ ...run, input });
    } catch (error) {
      context.signal.throwIfAborted();
      if (!isBackupctlError(error)) throw error;
      throw new BackupctlError("RESTORE_FAILED", `source "${context.sourceName}": ${error.message}`, {
        hint:
          error.hint ??
          "The program may have changed a part. See what it says, and run it by hand on `backupctl download`.",
        cause: error,
      });
    }
  });
  return {
    place: `the command ${run.command}`,
    checks: [
      {
        name: "restore_command",
        passed: true,
        detail: `${run.command} was given ${request.sizeBytes} bytes and ended with code 0`,
      },
    ],
    warnings: [],
  };
}

function nameIn(request: TargetRequest): string {
  return request.entries[0]?.name ?? "output";
}

function runOf(
  command: CommandOptions["command"],
  options: CommandOptions,
  tools: EngineTools,
  signal: AbortSignal,
): ToolRun {
  const [program = "", ...args] = argumentsOf(command);
  return {
    command: Object.hasOwn(tools, program) ? (tools[program] ?? program) : program,
    args,
    env: options.env,
    signal,
    timeoutMs: durationMs(parseFiniteDuration(options.timeout)),
    ...(options.working_directory === undefined ? {} : { cwd: options.working_directory }),
  };
}

function argumentsOf(command: CommandOptions["command"]): readonly string[] {
  return typeof command === "string" ? command.split(" ").filter((part) => part !== "") : command;
}

/** With what a target changes. */
function merged(options: CommandOptions, request: TargetRequest): CommandOptions {
  const parsed = schema.safeParse({ ...options, ...request.overrides });
  if (parsed.success) return parsed.data;
  throw new BackupctlError("CONFIG_INVALID", "the target's options for this source are not valid", {
    hint: "Check the config with `backupctl config validate`.",
  });
}
