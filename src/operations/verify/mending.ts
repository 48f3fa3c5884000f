import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import { METADATA_NAME, parseNumberedName, SHA256SUMS_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { canonicalJson } from "../../format/canonical-json.ts";
import { metadataKey } from "../../format/data-key.ts";
import { lockedWraps, type NamedBytes, openKeysObjects } from "../../format/keys-object.ts";
import { decodeMetadata, verifyMac } from "../../format/metadata.ts";
import { decodeNotes } from "../../format/notes.ts";
import { MAX_JSON_BYTES, MAX_METADATA_BYTES } from "../../format/parse-json.ts";
import { maxSumsBytes, parseSha256Sums } from "../../format/sha256sums.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { Storage } from "../../storage/storage.ts";
import type { RepairedObject } from "../operations.ts";
import { mapInParallel } from "../parallel.ts";
import { putChecked } from "../repository/put-checked.ts";
import { readObject } from "../repository/read-object.ts";
import type { Repository, StoredBackup } from "../repository/repository.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import type { Verifying } from "./backup.ts";
import { expectedPacks } from "./objects.ts";

/** Two packs each: the one that is there, and the one that takes its place. */
const PACKS_AT_ONCE = 2;

interface Mended {
  readonly repaired: readonly RepairedObject[];
  /** Nothing is left that is not sound. */
  readonly isWhole: boolean;
}

/** An object that a backup's directory must have. */
interface Expected {
  readonly name: string;
  readonly mostBytes: number;
  /** Whether these bytes may stay. */
  readonly isSound: (bytes: Buffer) => Promise<boolean> | boolean;
  /** Whether these bytes may take the place of others; `isSound` where it is the same. */
  readonly isProven?: (bytes: Buffer) => Promise<boolean> | boolean;
}

/** Mends the directory of one backup, of which `stored` was proven, from the storages `others`. metadata.json comes last. */
export async function mendDirectory(
  verifying: Verifying,
  others: readonly string[],
  stored: StoredBackup,
  extent: "all" | "keys and notes",
): Promise<Mended> {
  const { repository, storage, context } = verifying;
  const { metadata } = stored;
  const names = [storage.name, ...others];
  const found = new Set<string>();
  const repaired: RepairedObject[] = [];
  let isWhole = true;
  const mend = async (expected: Expected): Promise<void> => {
    context.session.signal.throwIfAborted();
    const from = await mendObject(verifying, others, metadata.storage_path, expected);
    if (from === "lost") isWhole = false;
    else if (from !== "sound") repaired.push({ object: `${metadata.storage_path}/${expected.name}`, storage: from });
  };
  for await (const name of numberedNames(repository, names, metadata.storage_path)) found.add(name);
  if (extent === "all") {
    await mend(sumsOf(metadata));
    const sums = await readSums(storage, metadata);
    if (sums === undefined) isWhole = false;
    await mapInParallel(sums === undefined ? [] : expectedPacks(metadata), PACKS_AT_ONCE, ({ name, sizeBytes }) =>
      mend({ name, mostBytes: sizeBytes, isSound: (bytes) => sha256Hex(bytes) === sums?.get(name) }),
    );
  }
  for (const name of [...found].sort()) {
    const isKeys = parseNumberedName(name)?.family === "keys";
    await mend(isKeys ? await keysOf(verifying, others, stored, name) : notesOf(stored, name));
  }
  if (extent === "all") await mend(metadataOf(stored));
  return { repaired, isWhole };
}

/** Says where the object that was put in its place came from. */
async function mendObject(
  { context, repository, storage }: Verifying,
  others: readonly string[],
  directory: string,
  { name, mostBytes, isSound, isProven = isSound }: Expected,
): Promise<string> {
  const key = `${directory}/${name}`;
  const there = await readObject(storage, key, mostBytes);
  if (there !== undefined && (await isSound(there))) return "sound";
  for (const other of others) {
    const bytes = await readFrom(repository, other, key, mostBytes);
    if (bytes === undefined || !(await isProven(bytes))) continue;
    // From memory, and not to be interrupted in between: an object is never overwritten, so it is gone for this moment.
    if (there !== undefined) await storage.remove(key);
    await putChecked(storage, { key, bytes, sha256: sha256Hex(bytes) }, (what) => context.session.logger.warn(what));
    const now = await readObject(storage, key, mostBytes);
    if (now?.equals(bytes) === true) return other;
    throw new BackupctlError("STORAGE_FAILED", `${key} in storage "${storage.name}" is not what was put there`, {
      hint: "Look at the storage's disk, then run the same command again: it goes on with what is not sound.",
    });
  }
  return "lost";
}

async function readFrom(
  repository: Repository,
  name: string,
  key: string,
  mostBytes: number,
): Promise<Buffer | undefined> {
  try {
    return await readObject(await repository.storage(name), key, mostBytes);
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    repository.leaveOut(name, error);
    return undefined;
  }
}

/** Keys objects and notes that any of the storages has: what one of them has lost only the others can tell. */
async function* numberedNames(
  repository: Repository,
  storages: readonly string[],
  directory: string,
): AsyncGenerator<string> {
  for (const name of storages) {
    try {
      for await (const { key } of (await repository.storage(name)).list(directory)) {
        const object = key.slice(directory.length + 1);
        if (parseNumberedName(object) !== undefined) yield object;
      }
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      repository.leaveOut(name, error);
    }
  }
}

function sumsOf(metadata: BackupMetadata): Expected {
  return {
    name: SHA256SUMS_NAME,
    mostBytes: maxSumsBytes(metadata),
    isSound: (bytes) => `sha256:${sha256Hex(bytes)}` === metadata.checksum,
  };
}

async function readSums(storage: Storage, metadata: BackupMetadata): Promise<ReadonlyMap<string, string> | undefined> {
  const { name, mostBytes, isSound } = sumsOf(metadata);
  const bytes = await readObject(storage, `${metadata.storage_path}/${name}`, mostBytes);
  return bytes !== undefined && (await isSound(bytes)) ? parseSha256Sums(bytes, metadata.storage_path) : undefined;
}

function metadataOf({ metadata, dataKey }: StoredBackup): Expected {
  const macKey = dataKey === undefined ? undefined : metadataKey(dataKey, metadata.id);
  return {
    name: METADATA_NAME,
    mostBytes: MAX_METADATA_BYTES,
    isSound: (bytes) => {
      const decoded = unlessDamaged(() => decodeMetadata(bytes, metadata.storage_path));
      if (decoded === undefined || !verifyMac(decoded, macKey)) return false;
      return canonicalJson({ ...decoded.metadata }) === canonicalJson({ ...metadata });
    },
  };
}

/** Where a copy has the one that is known to have been written, none but this; else one that a key opens, and each key that should. */
async function keysOf(
  { repository, known }: Verifying,
  others: readonly string[],
  { metadata }: StoredBackup,
  name: string,
): Promise<Expected> {
  const { id, key_id, storage_path } = metadata;
  const isWritten = (bytes: Buffer): boolean => sha256Hex(bytes) === known(id)?.keysSha256;
  let isThere = false;
  for (const other of others) {
    const bytes = await readFrom(repository, other, `${storage_path}/${name}`, MAX_JSON_BYTES);
    isThere ||= bytes !== undefined && isWritten(bytes);
  }
  return {
    name,
    mostBytes: MAX_JSON_BYTES,
    isSound: async (bytes) => {
      if (key_id === null || isWritten(bytes)) return true;
      if (isThere) return false;
      const wanted = { backupId: id, keyId: key_id };
      if (!(await opens({ name, bytes }, wanted, repository))) return false;
      return (await lockedWraps([{ name, bytes }], wanted, repository.keys)).length === 0;
    },
  };
}

async function opens(
  object: NamedBytes,
  wanted: { readonly backupId: BackupId; readonly keyId: string },
  { keys }: Repository,
): Promise<boolean> {
  try {
    await openKeysObjects([object], wanted, keys);
    return true;
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    return false;
  }
}

/** What somebody wrote without the key may stay, and is taken from nowhere. */
function notesOf({ metadata, dataKey }: StoredBackup, name: string): Expected {
  const macKey = dataKey === undefined ? undefined : metadataKey(dataKey, metadata.id);
  const decode = (bytes: Buffer) => unlessDamaged(() => decodeNotes({ name, bytes }, metadata, macKey));
  return {
    name,
    mostBytes: MAX_JSON_BYTES,
    isSound: (bytes) => decode(bytes)?.changed === false,
    isProven: (bytes) => decode(bytes)?.verified === true,
  };
}

function unlessDamaged<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    return undefined;
  }
}
