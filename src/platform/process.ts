import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import { Readable } from "node:stream";
import { BackupctlError } from "../errors.ts";
import { hangupsAreIgnored } from "./hangups.ts";
import { endWithDescendants } from "./process-tree.ts";

/** External programs are run here only: argument arrays, never a shell; secrets by environment or file, never as arguments. */
export interface ToolRun {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface ToolResult {
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ToolStream {
  readonly stdout: Readable;
  /** Resolves when the tool has ended with exit code 0 and all output was read; else throws `TOOL_FAILED`. */
  finish(): Promise<{ readonly stderr: string }>;
  /** Ends the tool, and what it has started. */
  kill(): void;
}

const STDERR_TAIL_BYTES = 16 * 1024;
/** Of what a tool says a message shows five lines, each no longer than this. */
const LONGEST_LINE = 300;
const KILL_AFTER_MS = 5_000;

/**
 * Runs a tool to its end. Input that comes in pieces goes through a pipe: if this process is killed, the tool sees it end early, so it must be able
 * to tell. One that can't is given an open file, from its start, which the caller closes.
 * @throws `TOOL_MISSING` if there is no such program, `TOOL_FAILED` if it exits non-zero.
 */
export async function runTool(
  given: ToolRun & { readonly input?: AsyncIterable<Uint8Array> | { readonly fd: number } },
): Promise<ToolResult> {
  const { execa } = await import("execa");
  const tail = stderrTail();
  const run = withDeadline(given, tail.text);
  const child = execa(run.command, [...run.args], {
    ...options(run),
    encoding: "buffer",
    stdout: "pipe",
    stderr: tail.target,
    ...inputOf(run.input),
    maxBuffer: 64 * 1024 * 1024,
  });
  const result = await Promise.race([child, endByAbort(child, run.signal)]);
  throwIfFailed(run, result, tail.text());
  return { stdout: Buffer.from(result.stdout ?? new Uint8Array()), stderr: tail.text() };
}

function inputOf(input: AsyncIterable<Uint8Array> | { readonly fd: number } | undefined) {
  if (input === undefined) return { stdin: "ignore" as const };
  // Its types know no descriptor above 9.
  return "fd" in input ? { stdin: input.fd as 3 } : { input: Readable.from(input, { objectMode: false }) };
}

/** Starts a tool whose output is too large to hold. The caller reads `stdout` to its end, then calls `finish`. */
export async function streamTool(given: ToolRun): Promise<ToolStream> {
  const { execa } = await import("execa");
  const tail = stderrTail();
  const run = withDeadline(given, tail.text);
  const child = execa(run.command, [...run.args], {
    ...options(run),
    stdin: "ignore",
    stdout: "pipe",
    stderr: tail.target,
    buffer: false,
    encoding: "buffer",
  });
  // Until somebody listens, execa throws the output away: what a quick tool prints must wait for its reader.
  child.stdout.on("readable", () => undefined);
  const aborted = endByAbort(child, run.signal);
  aborted.catch((reason: unknown) => child.stdout.destroy(asError(reason)));
  const ended = child.then((result) => result);
  ended.catch(() => undefined);
  return {
    stdout: child.stdout,
    async finish() {
      const result = await Promise.race([ended, aborted]);
      throwIfFailed(run, result, tail.text());
      return { stderr: tail.text() };
    },
    kill: () => void endWithDescendants(child.nodeChildProcess),
  };
}

/** With a signal that also aborts when the tool's time is over. */
function withDeadline<R extends ToolRun>(run: R, stderr: () => string): R {
  if (run.timeoutMs === undefined) return run;
  const late = new AbortController();
  const end = (): void => {
    const what = `${run.command} was ended because it took too long${lastLines(stderr())}`;
    const hint =
      "See what it waits for; if it only needs more time, set a longer `timeout` for this source in the config.";
    late.abort(new BackupctlError("TOOL_FAILED", what, { hint }));
  };
  // A timer of more than 24 days would fire at once.
  setTimeout(end, Math.min(run.timeoutMs, 2 ** 31 - 1)).unref();
  return { ...run, signal: run.signal === undefined ? late.signal : AbortSignal.any([run.signal, late.signal]) };
}

/** Ends the tool and what it has started when aborted, and rejects then: who left it may keep the pipes open, and nobody waits for that. */
function endByAbort(child: { readonly nodeChildProcess: ChildProcess }, signal?: AbortSignal): Promise<never> {
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => undefined);
  // Before execa ends the tool alone: who has no parent any more can't be found.
  const end = (): void => void endWithDescendants(child.nodeChildProcess).then(() => ended.reject(signal?.reason));
  signal?.addEventListener("abort", end);
  return ended.promise;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new BackupctlError("INTERRUPTED", "the run was interrupted");
}

/**
 * Runs a program that talks to whoever started this one, and resolves to its exit code, or 128 and more where a signal ended it. Aborted, it is
 * told to end, and waited for. It is a process group of its own: what a terminal sends to ours is told to it once, not twice.
 * @throws `TOOL_MISSING` if there is no such program
 */
export async function runInForeground({
  command,
  args,
  signal,
}: Pick<ToolRun, "command" | "args" | "signal">): Promise<number> {
  signal?.throwIfAborted();
  const child = spawn(command, [...args], { stdio: ["ignore", "inherit", "inherit"], detached: true });
  const end = (): void => void child.kill("SIGTERM");
  signal?.addEventListener("abort", end);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", (cause) =>
        reject(new BackupctlError("TOOL_MISSING", `${command} could not be started`, { cause })),
      );
      child.once("close", (exitCode, name) => resolve(exitCode ?? 128 + (name === null ? 0 : constants.signals[name])));
    });
  } finally {
    signal?.removeEventListener("abort", end);
  }
}

/**
 * Runs a small tool to its end while this thread waits; for worker threads and look-ups of a few milliseconds.
 * `undefined` if there is no such program or it had to be ended; the exit code is the caller's to judge.
 */
export function runToolSync(
  run: Omit<ToolRun, "signal"> & { readonly input?: Uint8Array },
): { readonly exitCode: number; readonly stdout: Buffer } | undefined {
  const result = spawnSync(run.command, [...run.args], {
    env: { ...process.env, ...run.env },
    stdio: ["pipe", "pipe", "ignore"],
    maxBuffer: 64 * 1024 * 1024,
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    ...(run.timeoutMs === undefined ? {} : { timeout: run.timeoutMs }),
    ...(run.input === undefined ? {} : { input: run.input }),
  });
  if (result.error !== undefined || result.status === null) return undefined;
  return { exitCode: result.status, stdout: result.stdout };
}

/** A small tool that is given its input little by little, while other work is done. */
export interface FedTool {
  /** Resolves when the tool has room for more, or has ended. */
  give(bytes: Uint8Array): Promise<unknown>;
  /** Ends the input. `undefined` if there is no such program or it had to be ended; the exit code is the caller's to judge. */
  finish(): Promise<{ readonly exitCode: number; readonly stdout: Buffer } | undefined>;
  kill(): void;
}

export function feedTool(run: Pick<ToolRun, "command" | "args">): FedTool {
  const child = spawn(run.command, [...run.args], { stdio: ["pipe", "pipe", "ignore"] });
  // Where there are no descriptors left the child comes without its pipes.
  const input: typeof child.stdin | undefined = child.stdin;
  const output: Buffer[] = [];
  const ended = new Promise<Awaited<ReturnType<FedTool["finish"]>>>((resolve) => {
    child.once("error", () => resolve(undefined));
    child.once("close", (exitCode) =>
      resolve(exitCode === null ? undefined : { exitCode, stdout: Buffer.concat(output) }),
    );
  });
  child.stdout?.on("data", (bytes: Buffer) => output.push(bytes));
  // One that ends before its input does says why by its exit code.
  input?.on("error", () => undefined);
  return {
    async give(bytes) {
      if (input?.write(bytes) !== false) return;
      const drained = new Promise((resolve) => input.once("drain", resolve));
      await Promise.race([drained, ended]);
    },
    finish() {
      input?.end();
      return ended;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

function options(run: ToolRun) {
  return {
    reject: false as const,
    env: { ...run.env },
    extendEnv: true,
    stripFinalNewline: false,
    forceKillAfterDelay: KILL_AFTER_MS,
    // Node gives no child a signal that is ignored: only in a group of its own does it not hear the terminal go.
    detached: hangupsAreIgnored,
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    ...(run.signal === undefined ? {} : { cancelSignal: run.signal }),
  };
}

interface Ended {
  readonly failed: boolean;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly isCanceled?: boolean;
  readonly code?: string | undefined;
  readonly cause?: unknown;
}

function throwIfFailed(run: ToolRun, result: Ended, stderr: string): void {
  if (!result.failed) return;
  if (result.isCanceled)
    throw run.signal?.reason ?? new BackupctlError("INTERRUPTED", `${run.command} was interrupted`);
  const cause = result.cause as { code?: string } | undefined;
  if (result.code === "ENOENT" || cause?.code === "ENOENT") {
    throw new BackupctlError("TOOL_MISSING", `${run.command} was not found`, {
      hint: `Install ${run.command}, or give its whole path in the config: under tools, or as the command of its source.`,
    });
  }
  throw new BackupctlError("TOOL_FAILED", `${run.command} ${howItEnded(result)}${lastLines(stderr)}`, {
    data: { command: run.command, exitCode: result.exitCode ?? null, signal: result.signal ?? null },
  });
}

function howItEnded(result: Ended): string {
  if (result.signal !== undefined) return `was ended by ${result.signal}`;
  if (result.exitCode === undefined) return `could not be started (${result.code ?? "unknown"})`;
  return `exited with code ${result.exitCode}`;
}

function lastLines(stderr: string): string {
  const lines = stderr
    .trim()
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-5)
    .map((line) => (line.length > LONGEST_LINE ? `…${line.slice(-LONGEST_LINE)}` : line));
  return lines.length === 0 ? "" : `: ${lines.join("; ")}`;
}

/** Keeps the end of what a tool says on stderr, however much it says. */
function stderrTail(): { target: (chunk: unknown) => Generator<never>; text: () => string } {
  let kept = "";
  // execa hands a binary tool's stderr over in pieces of bytes, a text tool's line by line
  const decoder = new TextDecoder();
  const textOf = (chunk: unknown) =>
    chunk instanceof Uint8Array ? decoder.decode(chunk, { stream: true }) : `${String(chunk)}\n`;
  return {
    // biome-ignore lint/correctness/useYield: execa takes generators as output transforms; this one only listens
    *target(chunk: unknown) {
      kept = (kept + textOf(chunk)).slice(-STDERR_TAIL_BYTES);
    },
    text: () => kept,
  };
}
