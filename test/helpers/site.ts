import { randomBytes, randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { openSqliteCatalog } from "../../src/catalog/sqlite/open.ts";
import { loadConfig } from "../../src/config/load.ts";
import { engineDefinitions } from "../../src/engines/registry.ts";
import { encodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import { jobDefinitions } from "../../src/jobs/registry.ts";
import { keyProviderDefinitions } from "../../src/keys/registry.ts";
import { notifierDefinitions } from "../../src/notify/registry.ts";
import type { OperationContext } from "../../src/operations/context.ts";
import { createBackup } from "../../src/operations/create/create.ts";
import type { CreateRequest, CreateResult } from "../../src/operations/operations.ts";
import { openRepository } from "../../src/operations/repository/repository.ts";
import { makeStateDirectory, type Session, statePaths } from "../../src/operations/session.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { createRedactor } from "../../src/platform/redact.ts";
import { storageDefinitions } from "../../src/storage/registry.ts";
import { tempDir } from "./temp-dir.ts";

/** A configured site in a temporary directory, its repository initialised, with everything that operations need. */
export interface Site {
  readonly directory: string;
  readonly repositoryDirectory: string;
  readonly session: Session;
  readonly context: OperationContext;
  readonly warnings: string[];
  create(request?: Partial<CreateRequest>): Promise<CreateResult>;
}

export interface SiteOptions {
  /** The `sources:` section, indented by two spaces; `{dir}` stands for the site's directory. */
  readonly sources: string;
  /** Further top-level sections. */
  readonly more?: string;
  /** A second storage, `second`, in `{dir}/replica`. */
  readonly replica?: boolean;
  /** Further options of the storage `local`, as a flow map has them. */
  readonly storageOptions?: string;
  /** Further storages, each in the folder of its name, with their roles. */
  readonly storages?: Readonly<Record<string, "replica" | "archive">>;
  /** Further storages that are not on this host, each with type, role and options. */
  readonly remotes?: Readonly<Record<string, { readonly type: string } & Readonly<Record<string, unknown>>>>;
  /** No key, and so no encryption. */
  readonly keyless?: boolean;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly directory?: string;
}

export const NO_CHOICES: CreateRequest = {
  components: [],
  sources: [],
  categories: [],
  tables: [],
  ifChanged: false,
  manual: false,
  tags: [],
  storages: [],
  lockWaitMs: 0,
};

export async function makeSite(options: SiteOptions): Promise<Site> {
  const directory = options.directory ?? tempDir();
  const repositoryDirectory = join(directory, "repository");
  const config = join(directory, "backup.config.yaml");
  const key = join(directory, "main.key");
  writeFileSync(key, randomBytes(32).toString("hex"), { mode: 0o600 });
  writeFileSync(
    config,
    `version: 1
name: test
state_dir: ${directory}/state
storages:
  local: {type: local, path: ${repositoryDirectory}, ${options.storageOptions ?? ""}}
${options.replica === true ? `  second: {type: local, role: replica, path: ${directory}/replica}` : ""}
${Object.entries(options.storages ?? {})
  .map(([name, role]) => `  ${name}: {type: local, role: ${role}, path: ${directory}/${name}}`)
  .join("\n")}
${Object.entries(options.remotes ?? {})
  .map(([name, remote]) => `  ${name}: ${JSON.stringify(remote)}`)
  .join("\n")}
encryption: ${options.keyless === true ? "{enabled: false}" : `{keys: {main: {provider: local, key_file: ${key}}}}`}
sources:
${options.sources.replaceAll("{dir}", directory)}
${(options.more ?? "").replaceAll("{dir}", directory)}
`,
  );
  const marker = { repositoryId: randomUUID(), created: "2026-01-01T00:00:00.000Z" };
  const folders = [...(options.replica === true ? ["replica"] : []), ...Object.keys(options.storages ?? {})];
  for (const storage of [repositoryDirectory, ...folders.map((name) => join(directory, name))]) {
    mkdirSync(storage, { recursive: true });
    writeFileSync(join(storage, "backupctl.json"), encodeRepositoryMarker(marker));
  }
  for (const [name, { type, role, ...remote }] of Object.entries(options.remotes ?? {})) {
    const storage = await storageDefinitions[type]?.open(remote, { name, create: true });
    await storage?.put("backupctl.json", encodeRepositoryMarker(marker));
    await storage?.close();
  }
  const warnings: string[] = [];
  const session = await openSession(config, options, warnings);
  const context = await openContext(session);
  return {
    directory,
    repositoryDirectory,
    session,
    context,
    warnings,
    create: (request) => createBackup(context, { ...NO_CHOICES, ...request }),
  };
}

/** What `main.ts` joins, for a configuration file. What is warned of goes to `warnings`. */
export async function openSession(
  config: string,
  options: Pick<SiteOptions, "clock" | "signal"> = {},
  warnings: string[] = [],
): Promise<Session> {
  const loaded = await loadConfig({ path: config, env: {}, cwd: dirname(config) });
  return {
    loaded,
    adapters: {
      storages: storageDefinitions,
      keys: keyProviderDefinitions,
      engines: engineDefinitions,
      jobs: jobDefinitions,
      notifiers: notifierDefinitions,
      openCatalog: async (catalog) => openSqliteCatalog(catalog),
      recoveryProgram: async () => Buffer.from("// test\n"),
    } as Session["adapters"],
    clock: options.clock ?? systemClock,
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (message) => void warnings.push(message),
      error: (message) => void warnings.push(message),
    },
    clean: (text) => createRedactor(loaded.secrets).clean(text),
    signal: options.signal ?? new AbortController().signal,
    host: "test-host",
    user: "tester",
    softwareVersion: "0.0.0",
    program: { path: "/usr/local/bin/backupctl", environment: {} },
  };
}

async function openContext(session: Session): Promise<OperationContext> {
  const state = await statePaths(session);
  await makeStateDirectory(state);
  const catalog = openSqliteCatalog({ file: state.catalog, warn: () => undefined });
  const repository = await openRepository(session);
  onTestFinished(async () => {
    catalog.close();
    await repository.close();
  });
  return { session, repository: async () => repository, catalog: async () => catalog, closeLater: onTestFinished };
}
