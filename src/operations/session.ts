import { createHash } from "node:crypto";
import * as path from "node:path";
import type { Catalog } from "../catalog/catalog.ts";
import type { LoadedConfig } from "../config/config.ts";
import type { Engine, EngineDefinition } from "../engines/engine.ts";
import { BackupctlError, messageOf } from "../errors.ts";
import type { JobDefinition } from "../jobs/job.ts";
import type { KeyProvider, KeyProviderDefinition } from "../keys/key-provider.ts";
import type { NotifierDefinition } from "../notify/notifier.ts";
import { type Clock, systemSleep } from "../platform/clock.ts";
import { makePrivateDirectory, readFileIfExists, writeFileAtomically } from "../platform/files.ts";
import type { Logger } from "../platform/logger.ts";
import { randomFraction } from "../platform/random.ts";
import { type Outages, openResilient } from "../storage/resilient/open.ts";
import type { OperationOptions, Storage, StorageContext, StorageDefinition } from "../storage/storage.ts";
import { stateHint } from "./state-failure.ts";

/** The adapters that the composition root joins to the operations. */
export interface Adapters {
  readonly storages: Readonly<Record<string, StorageDefinition>>;
  readonly keys: Readonly<Record<string, KeyProviderDefinition>>;
  readonly engines: Readonly<Record<string, EngineDefinition>>;
  readonly jobs: Readonly<Record<string, JobDefinition>>;
  readonly notifiers: Readonly<Record<string, NotifierDefinition>>;
  readonly openCatalog: (options: {
    readonly file: string;
    readonly readOnly: boolean;
    readonly warn: (message: string) => void;
    readonly damage?: string | undefined;
  }) => Promise<Catalog>;
  /** The text of recovery/recover.mjs, stored beside the backups. */
  readonly recoveryProgram: () => Promise<Buffer>;
}

/** Everything an operation works with: one process, one configuration, one repository. */
export interface Session {
  readonly loaded: LoadedConfig;
  readonly adapters: Adapters;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The text in one line without secrets, for what leaves the program otherwise than through the logger. */
  readonly clean: (text: string) => string;
  readonly signal: AbortSignal;
  readonly host: string;
  readonly user: string;
  readonly softwareVersion: string;
  /** How this program is started by something else. */
  readonly program: {
    readonly path: string;
    /** What it needs beside the configuration. */
    readonly environment: Readonly<Record<string, string>>;
  };
}

/** What this host keeps of one repository, all of it disposable but for its own history. */
export interface StatePaths {
  readonly directory: string;
  readonly catalog: string;
  readonly lock: string;
  readonly progress: string;
  /** A directory a backup: roots and indexes of its sources. */
  readonly indexes: string;
  readonly temporary: string;
}

/** State is kept by the primary storage's address: whatever configuration names the same place shares catalog and lock. */
export async function statePaths(session: Session): Promise<StatePaths> {
  const { loaded } = session;
  const primary = primaryStorage(session);
  const definition = storageDefinition(session, primary.type);
  const address = await definition.address(await loaded.resolveStorage(primary.name));
  const name = createHash("sha256").update(address).digest("hex").slice(0, 12);
  const directory = path.join(loaded.config.stateDir, name);
  return {
    directory,
    catalog: path.join(directory, "catalog.db"),
    lock: path.join(directory, "lock"),
    progress: path.join(directory, "progress.json"),
    indexes: path.join(directory, "indexes"),
    temporary: path.join(directory, "tmp"),
  };
}

/** @throws `CATALOG_FAILED` where it can't be written; who only reads goes on without it */
export async function makeStateDirectory({ directory, indexes, temporary }: StatePaths): Promise<void> {
  try {
    await makePrivateDirectory(indexes);
    await makePrivateDirectory(temporary);
  } catch (error) {
    throw new BackupctlError("CATALOG_FAILED", `state directory ${directory} can't be written: ${messageOf(error)}`, {
      hint:
        stateHint(error) ??
        "Set state_dir in the config, or BACKUPCTL_STATE_DIR, to a folder that this user may write.",
      cause: error,
    });
  }
}

export function primaryStorage(session: Session): { readonly name: string; readonly type: string } {
  const [primary] = session.loaded.config.storages;
  if (primary === undefined) {
    throw new BackupctlError("CONFIG_INVALID", "no storage is configured", {
      hint: "Add one under `storages:` in the config; `backupctl init` writes an example.",
    });
  }
  return primary;
}

/** Of all configured storages, the primary first. */
export function storageNames({ loaded }: Session): readonly string[] {
  return loaded.config.storages.map(({ name }) => name);
}

/** Of those that runs write to, the primary first: nobody asks for an archive, which may lie in a drawer, unless it is named. */
export function namesWithoutArchives({ loaded }: Session): readonly string[] {
  return loaded.config.storages.filter(({ role }) => role !== "archive").map(({ name }) => name);
}

export function storageDefinition(session: Session, type: string): StorageDefinition {
  const definition = session.adapters.storages[type];
  if (definition === undefined) throw new BackupctlError("CONFIG_INVALID", `there is no storage type "${type}"`);
  return definition;
}

interface Opening {
  /** Makes the place if it does not exist. */
  readonly create?: boolean;
  /** Tries nothing again: for who wants to know how it is now. */
  readonly once?: boolean;
  /** For objects that go again at once: they are not locked. */
  readonly scratch?: boolean;
  /** What earlier openings met in this run. */
  readonly outages?: Outages;
  /** What to do about a failure where the adapter does not know it; the default is to check the storage. */
  readonly hint?: string;
}

/** Opens a configured storage by its name: one that tries again, and keeps to its limits. */
export async function openStorage(
  session: Session,
  name: string,
  { create = false, once = false, scratch = false, outages, hint }: Opening = {},
  options?: OperationOptions,
): Promise<Storage> {
  const { loaded, clock, logger, signal } = session;
  const entry = loaded.config.storages.find((storage) => storage.name === name);
  if (entry === undefined) {
    const known = loaded.config.storages.map((storage) => storage.name).join(", ");
    throw new BackupctlError("STORAGE_NOT_FOUND", `no storage is named "${name}"`, {
      hint: `Use one of ${known}.`,
      exitCode: 2,
    });
  }
  const definition = storageDefinition(session, entry.type);
  const given = await loaded.resolveStorage(name);
  const run = { clock, sleep: systemSleep, random: randomFraction, logger, signal };
  const open = (context: StorageContext): Promise<Storage> => definition.open(given, { ...context, create, scratch });
  const limits = once ? { ...entry.limits, retryForMs: 0 } : entry.limits;
  return openResilient({ name, limits, run, outages, hint, open }, options);
}

/** The configured keys; a passphrase's salt is kept in the state directory, so that one derivation opens all backups. */
export async function openKeys(
  session: Session,
  state: StatePaths,
  repositoryId: string,
): Promise<readonly KeyProvider[]> {
  const { loaded, adapters } = session;
  return Promise.all(
    loaded.config.encryption.keys.map(async ({ name, provider }) => {
      const definition = adapters.keys[provider];
      if (definition === undefined)
        throw new BackupctlError("CONFIG_INVALID", `there is no key provider "${provider}"`);
      const saltFile = path.join(
        state.directory,
        `salt-${createHash("sha256").update(name).digest("hex").slice(0, 12)}`,
      );
      // Only what is sealed needs it.
      const salt = loaded.strict ? await readFileIfExists(saltFile) : undefined;
      const key = await definition.open(await loaded.resolveKey(name), {
        name,
        repositoryId,
        ...(salt === undefined ? {} : { salt }),
      });
      if (key.salt !== undefined && salt === undefined && loaded.strict) await writeFileAtomically(saltFile, key.salt);
      return key;
    }),
  );
}

/** The engine of a configured source, its options overridden by a target's where one is given. */
export async function openEngine(
  session: Session,
  sourceName: string,
  overrides: Readonly<Record<string, unknown>> = {},
): Promise<Engine> {
  const { loaded, adapters } = session;
  const source = loaded.config.sources.find(({ name }) => name === sourceName);
  if (source === undefined) throw new BackupctlError("SOURCE_NOT_FOUND", `no source is named "${sourceName}"`);
  return openEngineOf(session, source.engine, { ...(await loaded.resolveSource(sourceName)), ...overrides }, adapters);
}

/** An engine by its type, for sources that only a backup knows of. */
export async function openEngineOf(
  session: Session,
  engine: string,
  options: Readonly<Record<string, unknown>>,
  adapters: Adapters = session.adapters,
): Promise<Engine> {
  const definition = adapters.engines[engine];
  if (definition === undefined) throw new BackupctlError("CONFIG_INVALID", `there is no engine "${engine}"`);
  return definition.open(options, session.loaded.config.tools);
}
