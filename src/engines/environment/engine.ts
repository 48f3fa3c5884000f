import { BackupctlError } from "../../errors.ts";
import type { DumpContext, Engine, EngineContext, StreamDump, TargetRequest, TargetState } from "../engine.ts";
import { restoreFile, targetFileState } from "../file-target.ts";
import { chosenVariables, formatDotenv, idlePatterns } from "./dotenv.ts";
import { type EnvironmentOptions, options as schema } from "./options.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const FILE_NAME = "environment.env";

/** Environment variables of this process as a source: one dotenv file, restored with mode 0600. */
export function openEngine(options: EnvironmentOptions, env: Environment = process.env): Engine {
  const content = () => Buffer.from(formatDotenv(chosenVariables(env, options.variables)));
  return {
    estimate: async () => ({ sizeBytes: content().length, items: 1 }),
    dump: async (context) => dumpVariables(options, env, context),
    inspectTarget: async (request): Promise<TargetState> => {
      const file = fileOf(request, options);
      if (file !== undefined) return targetFileState(file, FILE_NAME);
      return { place: "nowhere", exists: false, contents: [], overwrites: [], downtime: false, refusal: NO_PLACE };
    },
    restore: async (request, context) =>
      restoreFile(placeOf(request, options, context), { name: FILE_NAME, secret: true }, request, context),
    download: { files: (entries) => entries.map(({ name, offset, size }) => ({ name, offset, size })) },
  };
}

const NO_PLACE =
  "a running environment can't be changed: give --to FILE, set restore_file, or use `backupctl download`";

async function dumpVariables(options: EnvironmentOptions, env: Environment, context: DumpContext): Promise<StreamDump> {
  context.signal.throwIfAborted();
  const variables = chosenVariables(env, options.variables);
  const count = Object.keys(variables).length;
  if (count === 0) {
    throw new BackupctlError(
      "SOURCE_FAILED",
      `source "${context.sourceName}": no environment variable matches ${options.variables.join(", ")}`,
      {
        hint: "cron and systemd start with an almost empty environment; set the variables there, or correct `variables`.",
      },
    );
  }
  const bytes = Buffer.from(formatDotenv(variables));
  const size = bytes.length;
  return {
    shape: "stream",
    kind: "env",
    bytes: (async function* () {
      yield bytes;
    })(),
    finish: async () => ({
      entries: [{ name: FILE_NAME, type: "environment", offset: 0, size }],
      counts: { variables: count },
      versions: { method: "dotenv" },
      unreadable: [],
      warnings: idlePatterns(variables, options.variables).map(
        (pattern) => `no environment variable matches ${pattern}`,
      ),
    }),
  };
}

function placeOf(request: TargetRequest, options: EnvironmentOptions, context: EngineContext): string {
  const file = fileOf(request, options);
  if (file !== undefined) return file;
  throw new BackupctlError("RESTORE_FAILED", `source "${context.sourceName}" has no file to be restored to`, {
    hint: "Give --to FILE, set restore_file in the config, or use `backupctl download`.",
  });
}

function fileOf(request: TargetRequest, options: EnvironmentOptions): string | undefined {
  if (request.to !== undefined) return request.to;
  const merged = schema.safeParse({ ...options, ...request.overrides });
  return merged.success ? merged.data.restore_file : options.restore_file;
}
