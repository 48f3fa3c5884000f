import { hostname } from "node:os";
import * as path from "node:path";
import { parseFiniteDuration } from "../domain/duration.ts";
import { engineDefinitions } from "../engines/registry.ts";
import { checkDocument } from "./check.ts";
import type { Config, LoadedConfig, StorageConfig } from "./config.ts";
import { type ConfigDocument, parseYaml } from "./document.ts";
import { environmentDocument, environmentWarnings } from "./environment.ts";
import { findConfigFile, homeOf } from "./find.ts";
import { invalidConfig } from "./problems.ts";
import { bearableDocument } from "./rescue.ts";
import { inlineSecrets, resolvers } from "./resolve.ts";
import { retentionOf, storagePolicy } from "./retention-options.ts";
import { scheduleConfigs } from "./schedules.ts";
import { type Frame, loadConfigSchema } from "./schema.ts";
import { shownConfig } from "./shown.ts";
import { storageLimits } from "./storage-options.ts";

export interface LoadRequest {
  /** `--config`. */
  readonly path?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /**
   * `rescue`, for list, show, verify, download and restore: what is wrong outside storages and encryption is left out and
   * warned about, because no rule may stand between an operator and the backups.
   */
  readonly mode?: "strict" | "rescue";
  /** Called for what is found out later, when a secret is read. */
  readonly warn?: (message: string) => void;
  /** Ends waiting for a secret. */
  readonly signal?: AbortSignal;
}

/** Finds, reads and checks the configuration. @throws `CONFIG_NOT_FOUND`, `CONFIG_INVALID` with every problem at once. */
export async function loadConfig(request: LoadRequest): Promise<LoadedConfig> {
  const { env, cwd } = request;
  const found = await findConfigFile(request);
  const origin = found?.file ?? "environment";
  const directory = found === undefined ? cwd : path.dirname(found.file);
  const base = { directory, home: homeOf(env) };
  const document = found === undefined ? environmentDocument(env) : parseYaml(found.text, env);
  const schema = await loadConfigSchema(document.values);
  const checked = checkOrRescue(document);

  const warnings = [...(found === undefined ? environmentWarnings(env) : []), ...checked.warnings];
  const { values, frame } = checked;
  const config = configOf(frame, env, cwd);
  const secrets = new Set(inlineSecrets(values, schema));
  const warn = request.warn ?? (() => undefined);
  return {
    config,
    origin,
    strict: request.mode !== "rescue",
    warnings,
    secrets,
    ...resolvers({ values, schema, env, directory, secrets, warn, signal: request.signal }),
    shown: () => shownConfig(values, schema, config),
  };

  function checkOrRescue(given: ConfigDocument) {
    const first = checkDocument(given, schema, base);
    if (first.problems.length === 0 && first.frame !== undefined) return { ...first, frame: first.frame, warnings: [] };
    const rescued = request.mode === "rescue" ? bearableDocument(given, first, { schema, base }) : undefined;
    if (rescued === undefined) throw invalidConfig(origin, first.problems);
    return rescued;
  }
}

function configOf(frame: Frame, env: LoadRequest["env"], cwd: string): Config {
  const { chain, retention } = frame;
  return {
    version: frame.version,
    name: frame.name ?? hostname(),
    timezone: frame.timezone,
    stateDir: env.BACKUPCTL_STATE_DIR
      ? path.resolve(cwd, env.BACKUPCTL_STATE_DIR)
      : (frame.state_dir ?? defaultStateDir(env)),
    storages: storagesOf(frame),
    encryption: {
      enabled: frame.encryption.enabled,
      required: frame.encryption.required,
      keys: Object.entries(frame.encryption.keys).map(([name, { provider }]) => ({ name, provider })),
    },
    compression: compressionOf(frame),
    sources: Object.entries(frame.sources).map(([name, { engine, component, category }]) => ({
      name,
      engine,
      component: component ?? engineDefinitions[engine]?.component ?? engine,
      category,
    })),
    create: frame.create,
    chain: { maxChain: chain.max_chain, fullEvery: parseFiniteDuration(chain.full_every) },
    verify: { onCreate: frame.verify.on_create },
    retention: retentionOf(retention),
    schedules: scheduleConfigs(frame.schedules, frame.timezone),
    notifiers: Object.entries(frame.notifiers).map(([name, { type }]) => ({ name, type })),
    targets: Object.entries(frame.targets).map(([name, { sources }]) => ({ name, sources: Object.keys(sources) })),
    tools: frame.tools,
    restore: { maxGap: parseFiniteDuration(frame.restore.max_gap) },
    orphanGrace: parseFiniteDuration(frame.orphan_grace),
    workers: frame.workers,
    tags: frame.tags,
  };
}

/** The first storage without a role is the primary unless another one says it is; all others without a role are replicas. */
function storagesOf(frame: Frame): readonly StorageConfig[] {
  const entries = Object.entries(frame.storages);
  const explicit = entries.find(([, storage]) => storage.role === "primary");
  const primary = explicit ?? entries.find(([, storage]) => storage.role === undefined);
  return entries
    .map(([name, storage]): StorageConfig => {
      const role = name === primary?.[0] ? "primary" : (storage.role ?? "replica");
      return {
        name,
        type: storage.type,
        role,
        limits: storageLimits(storage.type, storage),
        retention: storagePolicy(frame.retention, name, role === "archive"),
      };
    })
    .toSorted((a, b) => Number(b.role === "primary") - Number(a.role === "primary"));
}

function compressionOf({ compression }: Frame): Config["compression"] {
  const { algorithm, level } = compression;
  if (algorithm === "none") return { algorithm, level: 0 };
  return { algorithm, level: level ?? (algorithm === "gzip" ? 6 : 1) };
}

function defaultStateDir(env: LoadRequest["env"]): string {
  if (process.getuid?.() === 0) return "/var/lib/backupctl";
  return path.join(env.XDG_STATE_HOME || path.join(homeOf(env), ".local", "state"), "backupctl");
}
