import * as path from "node:path";
import type { LoadedConfig } from "../../config/config.ts";
import { MARKER_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import { MAX_JSON_BYTES } from "../../format/parse-json.ts";
import { decodeRepositoryMarker, encodeRepositoryMarker } from "../../format/repository-marker.ts";
import { writeNewFile } from "../../platform/beside-file.ts";
import { errnoOf, fileExists } from "../../platform/files.ts";
import { newUuid } from "../../platform/random.ts";
import type { Storage } from "../../storage/storage.ts";
import type { InitRequest, InitResult } from "../operations.ts";
import {
  makeStateDirectory,
  openKeys,
  openStorage,
  primaryStorage,
  type Session,
  statePaths,
  storageNames,
} from "../session.ts";
import { readOrphaned } from "./lost-marker.ts";
import { readObject } from "./read-object.ts";
import { refreshRecovery } from "./recovery-files.ts";

/** What `init` needs where there is no configuration yet. */
export interface Setup extends Omit<Session, "loaded"> {
  readonly cwd: string;
  /** The text of a first configuration. All paths are absolute. */
  readonly configTemplate: (answers: {
    readonly name: string;
    readonly storagePath: string;
    readonly keyFile: string;
  }) => string;
  /** Makes a key file (0600). @throws `USAGE` if there is one already. */
  readonly writeKeyFile: (file: string) => Promise<void>;
  readonly loadConfig: (file: string) => Promise<LoadedConfig>;
}

const CONFIG_NAME = "backup.config.yaml";
const KEY_NAME = "backupctl.key";

/**
 * The first `init`: a key, a configuration that names it, and its storages. Overwrites nothing: a key that lies there is taken. The
 * key is written first, so that no configuration ever names one that does not exist.
 */
export async function initialiseAnew(setup: Setup, request: InitRequest): Promise<InitResult> {
  const configPath = path.resolve(setup.cwd, request.configPath ?? CONFIG_NAME);
  const directory = path.dirname(configPath);
  const keyPath = path.join(directory, KEY_NAME);
  const storagePath = path.resolve(setup.cwd, request.storagePath ?? path.join(directory, "backups"));
  if (await inWords(configPath, fileExists(configPath))) throw exists(configPath);
  const keyWritten = !(await fileExists(keyPath));
  if (keyWritten) await setup.writeKeyFile(keyPath);
  const text = setup.configTemplate({ name: setup.host, storagePath, keyFile: keyPath });
  if (!(await inWords(configPath, writeNewFile(configPath, text)))) throw exists(configPath);
  const session = { ...setup, loaded: await setup.loadConfig(configPath) };
  const initialised = await initialiseStorages(session);
  const known = initialised.storages.filter(({ created }) => !created).map(({ name }) => `"${name}"`);
  if (keyWritten && known.length > 0) {
    setup.logger.warn(
      `storage ${known.join(", ")} held a repository already: its backups need the key that they were sealed with, not the new ${keyPath}`,
    );
  }
  return { configPath, configWritten: true, keyPath, keyWritten, ...initialised };
}

function exists(file: string): BackupctlError {
  return new BackupctlError("USAGE", `the configuration ${file} exists already`, {
    hint: `Use it with --config ${file}, or give another path: init overwrites nothing.`,
  });
}

/** What the system refuses to the configuration's file. */
async function inWords(file: string, work: Promise<boolean>): Promise<boolean> {
  try {
    return await work;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new BackupctlError("USAGE", `the configuration ${file} can't be written: ${messageOf(error)}`, {
      hint: "Give a path that this user may write to: `backupctl init --config PATH`.",
      cause: error,
    });
  }
}

/** `init` with a configuration: prepares the storages that are new, and refreshes the runbook. May be run any time. */
export async function initialiseConfigured(session: Session, request: InitRequest): Promise<InitResult> {
  const { origin } = session.loaded;
  if (request.storagePath !== undefined) {
    session.logger.warn(`--storage-path is for a new configuration; ${origin} says where its storages are`);
  }
  return {
    configPath: origin === "environment" ? undefined : origin,
    configWritten: false,
    keyPath: undefined,
    keyWritten: false,
    ...(await initialiseStorages(session)),
  };
}

interface Prepared {
  readonly storage: Storage;
  readonly state: "marked" | "marker lost" | "new";
  /** As its marker says, or where that is lost its backups; `undefined` for a place that has neither. */
  readonly repositoryId: string | undefined;
}

const NEW = { state: "new", repositoryId: undefined } as const;

/** Everything is looked at before any place is made or written to. A place that lost its marker gets that of the others. */
async function initialiseStorages(session: Session): Promise<Pick<InitResult, "storages" | "repositoryId">> {
  primaryStorage(session);
  const names = storageNames(session);
  const places = new Map<string, Prepared>();
  try {
    for (const name of names) {
      const storage = await openIfThere(session, name);
      if (storage === undefined) continue;
      places.set(name, { storage, ...NEW });
      places.set(name, await look(session, storage));
    }
    const there = [...places.values()];
    const repositoryId = commonId(there) ?? firstId(there);
    const state = await statePaths(session);
    await makeStateDirectory(state);
    // A key that can't be had is better met now than by the first backup.
    for (const key of await openKeys(session, state, repositoryId)) await key.seal();
    for (const name of names.filter((each) => !places.has(each)))
      places.set(name, { storage: await openStorage(session, name, { create: true }), ...NEW });
    const prepared = names.flatMap((name) => places.get(name) ?? []);
    for (const { storage, state } of prepared) {
      if (state !== "marked") await putMarker(session, storage, repositoryId);
      if (state === "marker lost") {
        session.logger.warn(
          `storage "${storage.name}" had lost its marker ${MARKER_NAME}: it is written again, for repository ${repositoryId}, to which its backups belong`,
        );
      }
    }
    const storages = prepared.map(({ storage }) => storage);
    await refreshRecovery(session, storages, repositoryId, (message) => session.logger.warn(message));
    return {
      repositoryId,
      storages: prepared.map(({ storage, state }) => ({
        name: storage.name,
        address: storage.address,
        created: state === "new",
      })),
    };
  } finally {
    for (const { storage } of places.values()) await storage.close();
  }
}

/**
 * `undefined` where the place is to be made. One that is away may hold the repository that the others are to belong to.
 * @throws why a storage can't be had
 */
async function openIfThere(session: Session, name: string): Promise<Storage | undefined> {
  try {
    return await openStorage(session, name);
  } catch (error) {
    if (isBackupctlError(error, "STORAGE_NOT_FOUND")) return undefined;
    if (!isBackupctlError(error) || !error.retryable) throw error;
    throw new BackupctlError(error.code, `no storage is prepared without "${name}": ${error.message}`, {
      hint: "Bring it back, or take it out of the configuration for now; then run `backupctl init` again.",
      cause: error,
      retryable: true,
    });
  }
}

async function look(session: Session, storage: Storage): Promise<Prepared> {
  const marked = await readMarker(storage);
  if (marked !== undefined) return { storage, state: "marked", repositoryId: marked };
  const { holdsBackups, repositoryId } = await readOrphaned(session, storage);
  return { storage, state: holdsBackups ? "marker lost" : "new", repositoryId };
}

/** A new repository, but never over the backups of another. */
function firstId(prepared: readonly Prepared[]): string {
  const lost = prepared.find(({ state }) => state === "marker lost");
  if (lost === undefined) return newUuid();
  throw new BackupctlError(
    "BACKUP_CORRUPTED",
    `storage "${lost.storage.name}" has lost its marker ${MARKER_NAME}, and no metadata.json in it can be read`,
    {
      hint: "Bring either back from a copy, or give the storage another path or prefix; then run `backupctl init` again.",
    },
  );
}

async function readMarker(storage: Storage): Promise<string | undefined> {
  const bytes = await readObject(storage, MARKER_NAME, MAX_JSON_BYTES);
  return bytes === undefined ? undefined : decodeRepositoryMarker(bytes, `storage "${storage.name}"`).repositoryId;
}

function commonId(prepared: readonly Prepared[]): string | undefined {
  const [first, other] = [...new Set(prepared.flatMap(({ repositoryId }) => repositoryId ?? []))];
  if (other === undefined) return first;
  const names = prepared
    .map(({ storage, repositoryId }) => `"${storage.name}" ${repositoryId ?? "none yet"}`)
    .join(", ");
  throw new BackupctlError("REPOSITORY_MISMATCH", `the storages belong to different repositories: ${names}`, {
    hint: "Give one of them another path or prefix in the config, then run backupctl init again.",
  });
}

async function putMarker(session: Session, storage: Storage, repositoryId: string): Promise<void> {
  const marker = { repositoryId, created: session.clock.now().toISOString() };
  try {
    await storage.put(MARKER_NAME, encodeRepositoryMarker(marker));
  } catch (error) {
    if (!isBackupctlError(error, "OBJECT_CONFLICT")) throw error;
    const found = await readMarker(storage);
    if (found === repositoryId) return;
    throw new BackupctlError(
      "REPOSITORY_MISMATCH",
      `storage "${storage.name}" was initialised by another host meanwhile`,
      {
        hint: "Run backupctl init again.",
        cause: error,
      },
    );
  }
}
