import { PassThrough } from "node:stream";
import { runProgram, type Stream } from "../../src/cli/program.ts";
import type { Prompts } from "../../src/cli/prompts/prompts.ts";
import type { LoadedConfig } from "../../src/config/config.ts";
import type { LoadRequest } from "../../src/config/load.ts";
import type { Operations } from "../../src/operations/operations.ts";
import { createRedactor } from "../../src/platform/redact.ts";
import { type Call, fakeConfig, fakeOperations, NOW } from "./fakes.ts";

export interface RunOptions {
  readonly operations?: Partial<Operations>;
  readonly terminal?: boolean;
  readonly stdoutTerminal?: boolean;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** In the order of the questions: true and false for a yes or no, text for what is typed. */
  readonly answers?: readonly (boolean | string)[];
  readonly config?: LoadedConfig;
  readonly loadConfig?: (request: LoadRequest) => Promise<LoadedConfig>;
  readonly signal?: AbortSignal;
  readonly secrets?: readonly string[];
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: readonly Call[];
  readonly questions: readonly string[];
  readonly configModes: readonly (string | undefined)[];
  json(): unknown;
  /** The last line of standard error as JSON. */
  jsonError(): unknown;
  requestOf(name: string): unknown;
}

/** The words of a command line as a shell splits them: spaces and quotes, nothing else. */
export function words(line: string): readonly string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

/** Runs one command line in this process, against fake operations. */
export async function run(line: string | readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { terminal = false, stdoutTerminal = terminal, columns = 100, answers = [] } = options;
  const out: string[] = [];
  const err: string[] = [];
  const calls: Call[] = [];
  const questions: string[] = [];
  const configModes: (string | undefined)[] = [];
  const redactor = createRedactor(options.secrets);
  let monotonicMs = 0;

  const exitCode = await runProgram(typeof line === "string" ? words(line) : line, {
    stdout: streamTo(out, stdoutTerminal, columns),
    stderr: streamTo(err, terminal, columns),
    stdinIsTerminal: terminal,
    env: options.env ?? {},
    cwd: "/site",
    signal: options.signal ?? new AbortController().signal,
    clock: {
      now: () => NOW,
      monotonicMs: () => {
        monotonicMs += 1000;
        return monotonicMs;
      },
    },
    version: () => "0.1.0",
    clean: redactor.clean,
    loadConfig: async (request) => {
      configModes.push(request.mode);
      if (options.loadConfig !== undefined) return options.loadConfig(request);
      return options.config ?? fakeConfig();
    },
    openOperations: async () => fakeOperations(calls, options.operations),
    prompts: prompting(answers, questions),
  });
  const stdout = out.join("");
  const stderr = err.join("");
  return {
    ...{ exitCode, stdout, stderr, calls, questions, configModes },
    json: () => JSON.parse(stdout),
    jsonError: () => JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? ""),
    requestOf: (name) => calls.find((call) => call.name === name)?.request,
  };
}

function streamTo(parts: string[], isTerminal: boolean, columns: number): Stream {
  const raw = new PassThrough();
  raw.on("data", (chunk: Buffer) => parts.push(chunk.toString()));
  // What ora and cli-cursor ask of a terminal.
  Object.assign(raw, {
    isTTY: isTerminal,
    columns,
    clearLine: () => true,
    cursorTo: () => true,
    moveCursor: () => true,
  });
  return {
    isTerminal,
    columns: () => columns,
    raw,
    write: (text) => {
      parts.push(text);
    },
    flush: async () => undefined,
    writeBytes: async (bytes) => {
      parts.push(Buffer.from(bytes).toString());
    },
  };
}

function prompting(answers: readonly (boolean | string)[], questions: string[]): Prompts {
  const left = [...answers];
  const next = (question: string): boolean | string => {
    questions.push(question);
    const answer = left.shift();
    if (answer === undefined) throw new Error(`nobody expected the question: ${question}`);
    return answer;
  };
  return {
    confirm: async (question) => next(question) === true,
    typeToConfirm: async (question, expected) => next(question) === expected,
  };
}
