import * as modules from "node:module";
import { basename, join } from "node:path";
import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";
import type { OpenRequest, Stream, Surroundings } from "./cli/program.ts";
import type { LoadedConfig } from "./config/config.ts";
import type { LoadRequest } from "./config/load.ts";
import { BackupctlError } from "./errors.ts";
import type { Operations } from "./operations/operations.ts";
import type { Adapters } from "./operations/session.ts";
import { isNodeAtLeast, runOnBundledNode } from "./platform/bundled-node.ts";
import { dieOf } from "./platform/die.ts";
import { hangupsAreIgnored } from "./platform/hangups.ts";
import { useKeptCode } from "./platform/kept-code.ts";
import type { Redactor } from "./platform/redact.ts";

const MINIMUM_NODE = [22, 15] as const;
const EXIT_OF_SIGNAL = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** What a shell shows for a program whose reader went away. */
const EXIT_OF_BROKEN_PIPE = 141;

// The launcher's settings for glibc are this process's own: no tool and no backup of the environment gets to see them.
for (const name of ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX"]) delete process.env[name];
// Certificates are checked, whoever once switched that off in this host's environment: `ca_file` is how a config trusts its own.
delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
// Everything else is imported after this check, and only where it is used: better-sqlite3 crashes the process on older Nodes.
if (!isNodeAtLeast(process.versions.node, MINIMUM_NODE)) process.exit(onOlderNode());
const keepCode = useCodeOfEarlierRuns();
// Node would end with success.
process.once("beforeExit", () => {
  process.stderr.write("error: the command is not done, but there is nothing left to wait for; please report this\n");
  process.exit(1);
});
void main().then((status) => {
  if (status === 0) keepCode();
  process.exit(status);
});

/** Beside the program, not in a home: whoever can write there can change the program itself. Without leave to write there is none. */
function useCodeOfEarlierRuns(): () => void {
  const folder = fileURLToPath(new URL("../dist/.compile-cache", import.meta.url));
  modules.enableCompileCache(folder);
  // Node names it after all that its own code for packages depends on.
  const cache = modules.getCompileCacheDir();
  const [command = ""] = process.argv.slice(2);
  if (cache === undefined || !/^[a-z][a-z-]*$/.test(command)) return () => undefined;
  // A file for each command: they run different functions.
  return useKeptCode(join(folder, basename(cache), command), import.meta.dirname);
}

function onOlderNode(): number {
  const status = runOnBundledNode(import.meta.url, process.argv.slice(2));
  if (status !== undefined) return status;
  process.stderr.write(
    `error: NODE_TOO_OLD: backupctl needs Node ${MINIMUM_NODE.join(".")} or newer, this is ${process.versions.node}\n` +
      "hint: Install a newer Node, or set BACKUPCTL_NODE to the path of one.\n",
  );
  return 2;
}

async function main(): Promise<number> {
  const [{ runProgram }, { createRedactor }, { systemClock }] = await Promise.all([
    import("./cli/program.ts"),
    import("./platform/redact.ts"),
    import("./platform/clock.ts"),
  ]);
  const redactor = createRedactor();
  let secrets: ReadonlySet<string> = new Set();
  let redacted = 0;
  const stderr = streamOf(process.stderr);
  const cwd = currentDirectory();
  if (cwd === undefined) {
    stderr.write(
      "error: USAGE: the current directory was removed\nhint: Go to one that exists, for example with cd /.\n",
    );
    return 2;
  }
  const signal = onSignals((name) => {
    const more = name === "SIGHUP" ? "" : " (once more to quit at once)";
    // What cleans up under a daemon is the run that it cuts off, and says so itself.
    const isSaid = process.argv.includes("--json") || process.argv.includes("daemon");
    if (!isSaid) stderr.write(`${name}: cleaning up${more}\n`);
    return new BackupctlError("INTERRUPTED", `interrupted by ${name}`, { exitCode: EXIT_OF_SIGNAL[name] });
  });

  /** The secrets of a configuration grow as they are resolved. */
  function clean(text: string): string {
    if (secrets.size !== redacted) {
      for (const secret of secrets) redactor.add(secret);
      redacted = secrets.size;
    }
    return redactor.clean(text);
  }

  async function loadConfig(request: LoadRequest): Promise<LoadedConfig> {
    const { loadConfig: load } = await import("./config/load.ts");
    const loaded = await load({ ...request, signal });
    secrets = loaded.secrets;
    redacted = 0;
    return loaded;
  }

  const world: Surroundings = {
    stdout: streamOf(process.stdout, signal),
    stderr,
    // Asking `process.stdin` would open it.
    stdinIsTerminal: isatty(0),
    env: process.env,
    cwd,
    signal,
    clock: systemClock,
    version: readVersion,
    clean,
    loadConfig,
    openOperations: (request) => open(request, { ...redactor, clean }, loadConfig),
  };
  return runProgram(process.argv.slice(2), world);
}

async function open(request: OpenRequest, redactor: Redactor, load: Surroundings["loadConfig"]): Promise<Operations> {
  const [
    { openOperations, openSetup },
    { createLogger },
    { systemClock },
    { currentUserName },
    { hostname },
    adapters,
  ] = await Promise.all([
    import("./operations/open.ts"),
    import("./platform/logger.ts"),
    import("./platform/clock.ts"),
    import("./platform/user-name.ts"),
    import("node:os"),
    loadAdapters(),
  ]);
  const { config, signal, logLevel, log } = request;
  const common = {
    ...{ adapters, clock: systemClock, signal },
    logger: createLogger({ level: logLevel, sink: log, redactor }),
    clean: redactor.clean,
    host: hostname(),
    user: currentUserName(),
    softwareVersion: readVersion(),
    program: {
      path: fileURLToPath(new URL("../bin/backupctl", import.meta.url)),
      environment: process.env.BACKUPCTL_NODE ? { BACKUPCTL_NODE: process.env.BACKUPCTL_NODE } : {},
    },
  };
  if (config !== undefined) return openOperations({ ...common, loaded: config });
  const [{ configTemplate }, { generateKeyFile }] = await Promise.all([
    import("./config/template.ts"),
    import("./keys/local/generate.ts"),
  ]);
  const cwd = process.cwd();
  return openSetup({
    ...{ ...common, cwd, configTemplate },
    writeKeyFile: generateKeyFile,
    loadConfig: (path) => load({ path, env: process.env, cwd }),
  });
}

/** Every registry, joined here and nowhere else. */
async function loadAdapters(): Promise<Adapters> {
  const [
    { storageDefinitions },
    { keyProviderDefinitions },
    { engineDefinitions },
    { jobDefinitions },
    { notifierDefinitions },
  ] = await Promise.all([
    import("./storage/registry.ts"),
    import("./keys/registry.ts"),
    import("./engines/registry.ts"),
    import("./jobs/registry.ts"),
    import("./notify/registry.ts"),
  ]);
  return {
    storages: storageDefinitions,
    keys: keyProviderDefinitions,
    engines: engineDefinitions,
    jobs: jobDefinitions,
    notifiers: notifierDefinitions,
    openCatalog: async (options) => (await import("./catalog/sqlite/open.ts")).openSqliteCatalog(options),
    recoveryProgram: readRecoveryProgram,
  };
}

/** It lies one above both src/ and dist/, as package.json does. */
async function readRecoveryProgram(): Promise<Buffer> {
  const { readFileIfExists } = await import("./platform/files.ts");
  const file = fileURLToPath(new URL("../recovery/recover.mjs", import.meta.url));
  const program = await readFileIfExists(file);
  if (program === undefined) throw new Error(`${file} is missing from this installation`);
  return program;
}

/** The version in package.json. */
function readVersion(): string {
  const manifest: unknown = modules.createRequire(import.meta.url)("../package.json");
  const isManifest = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return isManifest && typeof manifest.version === "string" ? manifest.version : "unknown";
}

/** `undefined` where it was removed meanwhile. */
function currentDirectory(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

/**
 * The first signal aborts, so that everything cleans up; the second ends the program where it stands. But no second SIGHUP does: a terminal that
 * goes away is told by its shell and by the kernel.
 */
function onSignals(reasonOf: (name: keyof typeof EXIT_OF_SIGNAL) => Error): AbortSignal {
  const controller = new AbortController();
  process.on("SIGHUP", () => {
    if (!hangupsAreIgnored) controller.abort(reasonOf("SIGHUP"));
  });
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) dieOf(name);
      else controller.abort(reasonOf(name));
    });
  }
  return controller.signal;
}

/** @param signal ends waiting for a reader */
function streamOf(stream: NodeJS.WriteStream, signal?: AbortSignal): Stream {
  let failure: Error | undefined;
  // A backup must not die because nobody takes what it says. Who writes is told by the callback.
  stream.on("error", () => undefined);

  async function writeBytes(bytes: Uint8Array): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", stop);
    stream.write(bytes, (error) => (error == null ? resolve() : reject(error)));
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  return {
    isTerminal: stream.isTTY === true,
    columns: () => stream.columns,
    raw: stream,
    write: (text) => {
      // The first says why: the others only that the stream is destroyed since.
      stream.write(text, (error) => {
        failure ??= error ?? undefined;
      });
    },
    writeBytes: (bytes) =>
      writeBytes(bytes).catch((cause: Error) => {
        if (!nobodyReads(cause)) throw cause;
        const exitCode = EXIT_OF_BROKEN_PIPE;
        const hint = "The program that read it ended before it had all: look at what that says.";
        throw new BackupctlError("INTERRUPTED", "nobody reads standard output any more", { hint, cause, exitCode });
      }),
    async flush() {
      await writeBytes(new Uint8Array()).catch(() => undefined);
      signal?.throwIfAborted();
      // `backupctl list | head` is no failure.
      if (failure !== undefined && !nobodyReads(failure)) throw outputLost(failure);
    },
  };
}

function nobodyReads(error: Error): boolean {
  return "code" in error && error.code === "EPIPE";
}

function outputLost(cause: Error): BackupctlError {
  const isClosed = "code" in cause && cause.code === "EBADF";
  const where = isClosed ? "a file or a program: it is closed, or open for reading only" : "where there is room";
  return new BackupctlError("OUTPUT_FAILED", `standard output did not take what this command says: ${cause.message}`, {
    hint: `Only that is lost, nothing that was done. Look again with \`backupctl list\` and \`backupctl status\`, and send standard output to ${where}.`,
    cause,
  });
}
