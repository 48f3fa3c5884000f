import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { withTempDir } from "./temp-dir.ts";

export const LAUNCHER = join(import.meta.dirname, "../../bin/backupctl");

export interface CliOptions {
  /** The directory for HOME and all XDG folders. Give one to keep state between runs; without it each run gets an empty one. */
  readonly home?: string;
  readonly cwd?: string;
  /** Added to the small environment that the program gets; `undefined` removes a name. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
}

export interface CliResult {
  /** Null when a signal ended the program. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as one JSON value; throws with both outputs when it is none. */
  json(): unknown;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly result: Promise<CliResult>;
}

/** The environment of a run: nothing of the caller's but PATH, and a home of its own. */
export function cliEnvironment(home: string, extra: CliOptions["env"] = {}): Record<string, string> {
  const environment: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: home,
    XDG_CONFIG_HOME: join(home, ".config"),
    XDG_STATE_HOME: join(home, ".local/state"),
    XDG_CACHE_HOME: join(home, ".cache"),
    XDG_DATA_HOME: join(home, ".local/share"),
    LANG: "C.UTF-8",
    TZ: "UTC",
    TMPDIR: process.env.TMPDIR,
    BACKUPCTL_NODE: process.env.BACKUPCTL_NODE,
    ...extra,
  };
  const given = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(given);
}

function parseJson(stdout: string, stderr: string): unknown {
  try {
    return JSON.parse(stdout);
  } catch (cause) {
    throw new Error(`stdout is not JSON:\n${stdout}\nstderr:\n${stderr}`, { cause });
  }
}

/** Starts the built program as a user would, and leaves it running; for tests that watch or kill it. */
export function startCli(args: readonly string[], options: CliOptions & { readonly home: string }): RunningCli {
  const child = spawn(LAUNCHER, args, {
    cwd: options.cwd ?? options.home,
    env: cliEnvironment(options.home, options.env),
    stdio: "pipe",
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: "SIGKILL" as const }),
  });
  child.stdin.on("error", () => {}); // EPIPE: the program may end without reading its input
  child.stdin.end(options.input);
  const ended = new Promise<Pick<CliResult, "exitCode" | "signal">>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode, signal) => resolve({ exitCode, signal }));
  });
  const result = Promise.all([ended, text(child.stdout), text(child.stderr)]).then(([end, stdout, stderr]) => ({
    ...end,
    stdout,
    stderr,
    json: () => parseJson(stdout, stderr),
  }));
  return { child, result };
}

/** Runs the built program (`npm run build` first) to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { home } = options;
  if (home !== undefined) return startCli(args, { ...options, home }).result;
  return withTempDir((dir) => startCli(args, { ...options, home: dir }).result);
}
