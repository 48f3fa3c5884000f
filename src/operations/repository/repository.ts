import type { BackupMetadata, BackupNotes, LineageMember } from "../../domain/backup.ts";
import { MARKER_NAME, METADATA_NAME, splitObjectKey } from "../../domain/object-names.ts";
import { withoutName } from "../../domain/storage-messages.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { metadataKey } from "../../format/data-key.ts";
import { type LockedWrap, lockedWraps, type NamedBytes, openKeysObjects } from "../../format/keys-object.ts";
import { decodeMetadata, requirePlace, verifyMac } from "../../format/metadata.ts";
import { OpeningEffort } from "../../format/opening-effort.ts";
import { MAX_JSON_BYTES, MAX_METADATA_BYTES } from "../../format/parse-json.ts";
import { decodeRepositoryMarker } from "../../format/repository-marker.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { KeyProvider } from "../../keys/key-provider.ts";
import type { Outages } from "../../storage/resilient/open.ts";
import type { OperationOptions, Storage, StoredObject } from "../../storage/storage.ts";
import {
  makeStateDirectory,
  namesWithoutArchives,
  openKeys,
  openStorage,
  primaryStorage,
  type Session,
  type StatePaths,
  statePaths,
  storageNames,
} from "../session.ts";
import { amongFailures } from "./among-failures.ts";
import { holdsBackups } from "./holds-backups.ts";
import { impatience } from "./impatience.ts";
import { listNumbered, type Newest, passedOverText, readNumbered } from "./numbered-objects.ts";
import { type ReadableStorage, readObject } from "./read-object.ts";
import { readNotes } from "./stored-notes.ts";
import { isUnreachable } from "./unreachable.ts";

/** The storages of one repository, its keys, and what can be read from it without any catalog. */
export interface Repository {
  readonly id: string;
  readonly state: StatePaths;
  readonly primaryName: string;
  readonly keys: readonly KeyProvider[];
  /** Of opening backups with them. */
  readonly effort: OpeningEffort;
  /** Opens a configured storage of this repository, once; with the patience of `options`, where it is not being opened already. */
  storage(name: string, options?: OperationOptions): Promise<Storage>;
  /** Says that a storage is done without, once for each. */
  leaveOut(name: string, error: BackupctlError): void;
  close(): Promise<void>;
}

/**
 * The repository of the primary storage or, where that can't be had, of another one: see `firstId`.
 * @throws why the primary can't be had, where none can
 */
export async function openRepository(session: Session): Promise<Repository> {
  const state = await statePaths(session);
  if (session.loaded.strict) await makeStateDirectory(state);
  const { name: primaryName } = primaryStorage(session);
  const open = new Map<string, Promise<OpenStorage>>();
  const outages: Outages = new Map();
  const openOnce = (name: string, options = patienceOf(session)): Promise<OpenStorage> => {
    const known = open.get(name) ?? openWithId(session, name, { outages, ...options });
    open.set(name, known);
    // Who writes, and asks again, asks for another try.
    if (session.loaded.strict) known.catch(() => open.delete(name));
    return known;
  };
  const close = async (): Promise<void> => {
    const storages = await Promise.allSettled(open.values());
    await Promise.all(
      storages.map((result) => (result.status === "fulfilled" ? result.value.storage.close() : undefined)),
    );
  };
  const id = await firstId(session, state, openOnce);
  const leftOut = new Set<string>();
  return {
    id,
    state,
    primaryName,
    keys: await openKeys(session, state, id),
    effort: new OpeningEffort(),
    storage: async (name, options) => {
      const { storage, id: found } = await openOnce(name, options);
      requireSameRepository(name, found, id);
      return storage;
    },
    leaveOut: (name, error) => {
      if (!leftOut.has(name)) session.logger.warn(`storage "${name}" is left out: ${withoutName(name, error.message)}`);
      leftOut.add(name);
    },
    close,
  };
}

interface OpenStorage {
  readonly storage: Storage;
  /** Of the repository that its marker names. */
  readonly id: string;
}

/** Who only reads may do without a storage where there are others. */
function patienceOf({ loaded, clock, signal }: Session): OperationOptions {
  return loaded.strict || loaded.config.storages.length === 1 ? {} : impatience(clock, signal);
}

async function openWithId(
  session: Session,
  name: string,
  { outages, ...options }: OperationOptions & { readonly outages: Outages },
): Promise<OpenStorage> {
  const storage = await openStorage(session, name, { outages }, options);
  try {
    return { storage, id: await readRepositoryId(storage) };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/**
 * Who writes goes by the primary and, where that can't be had, by the first storage that is of the catalog's repository; archives are asked
 * last then, and not for long: they may lie in a drawer. Who reads goes by the first that is of the catalog's repository, the primary or not,
 * and by the first at all where none is. @throws why the first storage can't be had, where none can, and of the others
 */
async function firstId(
  session: Session,
  state: StatePaths,
  open: (name: string, options?: OperationOptions) => Promise<OpenStorage>,
): Promise<string> {
  const { clock, signal, loaded } = session;
  const { name: primaryName } = primaryStorage(session);
  const first = loaded.strict ? namesWithoutArchives(session) : storageNames(session);
  const archives = storageNames(session).filter((name) => !first.includes(name));
  const failures = new Map<string, BackupctlError>();
  let foreign: string | undefined;
  for (const name of [...first, ...archives]) {
    try {
      const { id } = await open(name, archives.includes(name) ? impatience(clock, signal) : undefined);
      if (loaded.strict && name === primaryName) return id;
      if (((await knownRepositoryId(session, state)) ?? id) === id) return id;
      foreign ??= id;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      failures.set(name, error);
    }
  }
  if (foreign !== undefined) return foreign;
  const [failure] = failures.values();
  if (failure === undefined) throw new RangeError("no storage is configured");
  throw amongFailures(failure, failures);
}

/** The repository that the catalog describes; `undefined` where that can't be read. */
export async function knownRepositoryId(
  { adapters, logger }: Session,
  { catalog: file }: StatePaths,
): Promise<string | undefined> {
  try {
    const warn = (message: string): void => logger.debug(message);
    const catalog = await adapters.openCatalog({ file, readOnly: true, warn });
    try {
      return catalog.repositoryId();
    } finally {
      catalog.close();
    }
  } catch (error) {
    if (!isBackupctlError(error, "CATALOG_FAILED")) throw error;
    return undefined;
  }
}

/** @throws `REPOSITORY_MISMATCH` */
export function requireSameRepository(name: string, found: string, wanted: string): void {
  if (found === wanted) return;
  throw new BackupctlError("REPOSITORY_MISMATCH", `storage "${name}" belongs to repository ${found}, not ${wanted}`, {
    hint: "Bring the right place back, or give the storage another path or prefix and run `backupctl init`.",
    data: { repository_id: found },
  });
}

/** What its marker says. @throws `REPOSITORY_NOT_INITIALIZED` without one, and where it can't be read */
export async function readRepositoryId(storage: Storage): Promise<string> {
  const bytes = await readObject(storage, MARKER_NAME, MAX_JSON_BYTES);
  if (bytes !== undefined) return decodeMarker(storage, bytes);
  if (await holdsBackups(storage)) {
    throw new BackupctlError(
      "REPOSITORY_NOT_INITIALIZED",
      `storage "${storage.name}" has lost its marker ${MARKER_NAME}; its backups are there`,
      {
        hint: "Run `backupctl init`: it writes the marker again, with the repository id that the backups say.",
        data: { holds_backups: true },
      },
    );
  }
  throw new BackupctlError("REPOSITORY_NOT_INITIALIZED", `storage "${storage.name}" holds no repository yet`, {
    hint: "If one should be there, bring it back: mount its disk, or correct its path or prefix. If the place is new, run `backupctl init`.",
  });
}

/** Which repository the other storages belong to they say themselves. */
function decodeMarker({ name }: Storage, bytes: Buffer): string {
  try {
    return decodeRepositoryMarker(bytes, `storage "${name}"`).repositoryId;
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    const { code, message, hint = "Remove it, then run `backupctl init`: it writes it again." } = error;
    throw new BackupctlError(code, message, { hint, cause: error, data: { of_the_marker: true } });
  }
}

/** A backup as one storage has it, its authenticity checked as far as the keys at hand allow. */
export interface StoredBackup {
  readonly metadata: BackupMetadata;
  /** `undefined` if no key object exists (not encrypted, no key configured then), or none of the keys opens it. */
  readonly dataKey: Buffer | undefined;
  /** The mac was verified. */
  readonly trusted: boolean;
  /** Why not, when it was not. */
  readonly problem: BackupctlError | undefined;
  /** What is wrong with keys objects, though one gave the data key: one line each. */
  readonly keysProblems: readonly string[];
  /** SHA-256 of each keys object, by name. */
  readonly keysObjects: ReadonlyMap<string, string>;
  /** Of the keys object that gave the data key. */
  readonly keysSha256: string | undefined;
  readonly notes: BackupNotes;
}

/**
 * Reads metadata, keys and notes of the backup in `directory`. A missing or wrong key leaves it untrusted, with the reason.
 * @throws `BACKUP_NOT_FOUND` without metadata.json, `BACKUP_CORRUPTED` if it is damaged or of another place.
 */
export async function readBackup(
  repository: Repository,
  storage: ReadableStorage,
  directory: string,
): Promise<StoredBackup> {
  const bytes = await readObject(storage, `${directory}/${METADATA_NAME}`, MAX_METADATA_BYTES);
  if (bytes === undefined) {
    throw new BackupctlError("BACKUP_NOT_FOUND", `there is no backup in ${directory} of storage "${storage.name}"`, {
      hint: "It was deleted, or never finished. See what there is with `backupctl catalog rebuild`, then `backupctl list`.",
    });
  }
  const decoded = decodeMetadata(bytes, directory);
  const { metadata } = decoded;
  requirePlace(metadata, { storagePath: directory, repositoryId: repository.id });
  const numbered = await listNumbered([storage], directory);
  const keys = await readKeys(numbered.keys, directory);
  const opened = await openDataKey(repository, metadata, keys);
  const keysObjects = new Map(keys.objects.map(({ name, bytes }) => [name, sha256Hex(bytes)]));
  const macKey = opened.dataKey === undefined ? undefined : metadataKey(opened.dataKey, metadata.id);
  const problem =
    opened.problem ?? (verifyMac(decoded, macKey) ? keylessProblem(repository, metadata) : macProblem(directory));
  return {
    metadata,
    dataKey: opened.dataKey,
    trusted: problem === undefined,
    problem,
    keysProblems: opened.keysProblems ?? [],
    keysObjects,
    keysSha256: keysObjects.get(opened.keysName ?? ""),
    // Those that can't be read can't let anything go either; verify reports them.
    notes: (await readNotes(numbered.notes, metadata, macKey)).notes,
  };
}

/** The data key of a backup whose metadata was believed before; unwrapped anew from storage. */
export async function readDataKey(
  repository: Repository,
  storage: ReadableStorage,
  metadata: BackupMetadata,
): Promise<Buffer | undefined> {
  const keys = await keysIn(storage, metadata.storage_path);
  const { dataKey, problem } = await openDataKey(repository, metadata, keys);
  if (problem !== undefined) throw problem;
  return dataKey;
}

/**
 * Any data key that keys objects in this directory give, where the metadata that would name the right one are lost. A wrong one
 * opens no block.
 */
export async function readAnyDataKey(
  repository: Repository,
  storage: ReadableStorage,
  { id, path }: LineageMember,
): Promise<Buffer> {
  const { objects } = await keysIn(storage, path);
  return (await openKeysObjects(objects, { backupId: id, keyId: undefined }, repository.keys, repository.effort))
    .dataKey;
}

/** Wraps of a backup's data key that a configured key should open and does not. */
export async function readLockedWraps(
  repository: Repository,
  storage: Storage,
  { id, key_id, storage_path }: BackupMetadata,
): Promise<readonly LockedWrap[]> {
  if (key_id === null) return [];
  const { objects } = await keysIn(storage, storage_path);
  return lockedWraps(objects, { backupId: id, keyId: key_id }, repository.keys, repository.effort);
}

/** The keys objects of a backup, the newest first. */
interface ReadKeys {
  readonly objects: readonly NamedBytes[];
  /** That there are more, in words. */
  readonly tooMany: string | undefined;
}

async function keysIn(storage: ReadableStorage, directory: string): Promise<ReadKeys> {
  return readKeys((await listNumbered([storage], directory)).keys, directory);
}

async function readKeys(listed: Newest, directory: string): Promise<ReadKeys> {
  const objects: NamedBytes[] = [];
  for (const object of listed.objects) {
    const bytes = await readNumbered(object);
    if (bytes !== undefined) objects.push({ name: object.name, bytes });
  }
  return { objects, tooMany: passedOverText(listed, "keys", directory) };
}

async function openDataKey(
  repository: Repository,
  metadata: BackupMetadata,
  { objects, tooMany }: ReadKeys,
): Promise<{
  readonly dataKey: Buffer | undefined;
  readonly problem?: BackupctlError;
  readonly keysProblems?: readonly string[];
  readonly keysName?: string;
}> {
  if (metadata.key_id === null) return { dataKey: undefined };
  try {
    const wanted = { backupId: metadata.id, keyId: metadata.key_id };
    const { dataKey, problems, name } = await openKeysObjects(objects, wanted, repository.keys, repository.effort);
    return { dataKey, keysProblems: [...problems, ...(tooMany === undefined ? [] : [tooMany])], keysName: name };
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    return { dataKey: undefined, problem: tooMany === undefined ? error : tooManyKeys(metadata.id, tooMany, error) };
  }
}

function tooManyKeys(id: string, tooMany: string, cause: BackupctlError): BackupctlError {
  return new BackupctlError("BACKUP_CORRUPTED", `backup ${id} can't be opened: ${tooMany}`, {
    hint: "Somebody has put them there. Remove by hand all but keys-1-….json, or use another copy.",
    cause,
  });
}

/** A plain hash proves nothing to who holds a key: whoever can write to the storage can make one. */
export function keylessProblem({ keys }: Repository, { id, key_id }: BackupMetadata): BackupctlError | undefined {
  if (key_id !== null || keys.length === 0) return undefined;
  return new BackupctlError("BACKUP_VERIFICATION_FAILED", `no key proves backup ${id}, and the config has keys`, {
    hint: `If it was made before there was a key, name it: --allow-unencrypted ${id}. Else somebody who can write to the storage has put it there: use another copy or another backup.`,
  });
}

function macProblem(directory: string): BackupctlError {
  return new BackupctlError("BACKUP_CORRUPTED", `metadata.json of ${directory} is not authentic: its mac is wrong`, {
    hint: "It was changed after it was written, or by somebody without the key; use another copy or another backup.",
  });
}

/** Directories of a storage that hold anything of a backup, with what `see` makes of the objects in them. */
export async function listBackupDirectories<T>(
  storage: Storage,
  see: (name: string, object: StoredObject) => T,
  options?: OperationOptions,
): Promise<ReadonlyMap<string, readonly T[]>> {
  const directories = new Map<string, T[]>();
  for await (const object of storage.list("", options)) {
    const split = splitObjectKey(object.key);
    if (split === undefined) continue;
    const seen = directories.get(split.directory) ?? [];
    seen.push(see(split.name, object));
    directories.set(split.directory, seen);
  }
  return directories;
}
