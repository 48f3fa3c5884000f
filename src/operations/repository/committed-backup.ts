import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, LineageMember } from "../../domain/backup.ts";
import { DELETED_NAME, FIRST_KEYS, METADATA_NAME, parseNumberedName } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { canonicalJson } from "../../format/canonical-json.ts";
import type { Storage } from "../../storage/storage.ts";
import type { ReadableStorage } from "./read-object.ts";
import { keylessProblem, type Repository, readBackup, readDataKey, type StoredBackup } from "./repository.ts";

/**
 * Reads a backup that the catalog knows. What is gone or is not what the catalog recorded is damage, where `readBackup` alone can't tell
 * it from a deletion, a newer release, another key or a backup that never had one.
 * @throws what `readBackup` throws; `problem` says the rest
 */
export async function readCommitted(
  repository: Repository,
  storage: ReadableStorage,
  known: CatalogBackup,
): Promise<StoredBackup> {
  const { id, storagePath, metadata, trusted } = known;
  const stored = await readBackup(repository, storage, storagePath).catch(async (error: unknown) => {
    throw (await damageBehind(repository, storage, known, error)) ?? error;
  });
  if (stored.metadata.id !== id)
    throw damaged(`metadata.json of ${storagePath} holds backup ${stored.metadata.id}, not ${id}`);
  const changed = changedKeys(stored, known);
  const isProvenByKey = stored.problem === undefined && stored.dataKey !== undefined;
  if (isProvenByKey && changed !== undefined)
    return { ...stored, keysProblems: [...stored.keysProblems, `${storagePath}: ${changed}`] };
  if (isProvenByKey || !trusted || metadata === undefined) return stored;
  if (!isSame(stored.metadata, metadata)) {
    const problem = damaged(`metadata.json of ${storagePath} is not authentic: the catalog knows other metadata`);
    return { ...stored, trusted: false, problem };
  }
  if (changed === undefined || !isBackupctlError(stored.problem, "ENCRYPTION_KEY_NOT_FOUND")) return stored;
  return { ...stored, problem: damaged(`backup ${id} can't be opened: ${changed}`) };
}

/**
 * Reads an ancestor as the lineage of its descendant knows it, and the catalog if it does.
 * @throws `BACKUP_CORRUPTED` also where it is gone, since a backup that another one needs is not deleted; why it can't be believed
 */
export async function readAncestor(
  repository: Repository,
  storage: ReadableStorage,
  member: LineageMember,
  known: CatalogBackup | undefined,
): Promise<StoredBackup> {
  const where = known?.storagePath === member.path ? known : undefined;
  const reading =
    where === undefined ? readBackup(repository, storage, member.path) : readCommitted(repository, storage, where);
  const stored = await reading.catch((error: unknown) => {
    if (!isBackupctlError(error, "BACKUP_NOT_FOUND")) throw error;
    throw damaged(`${member.path}/${METADATA_NAME} is missing in storage "${storage.name}"`, error);
  });
  if (stored.problem !== undefined) throw stored.problem;
  const { id, checksum } = stored.metadata;
  if (id === member.id && checksum === member.checksum) return stored;
  throw damaged(`${member.path} holds something else than this backup was built on`);
}

/**
 * What restores a backup whose own metadata.json is lost or damaged: what the catalog has of it, which was proven here before. Its sums or
 * sealed roots, and with them all else, must still be what these metadata say.
 * @returns `undefined` where they were never proven, or its keys no longer open
 */
export async function readAsKnown(
  repository: Repository,
  storage: Storage,
  { metadata, trusted }: CatalogBackup,
): Promise<Pick<StoredBackup, "metadata" | "trusted" | "problem"> | undefined> {
  if (!trusted || metadata === undefined) return undefined;
  try {
    await readDataKey(repository, storage, metadata);
  } catch (error) {
    if (isBackupctlError(error)) return undefined;
    throw error;
  }
  const problem = keylessProblem(repository, metadata);
  return { metadata, trusted: problem === undefined, problem };
}

/** Damage of ancestors that a backup which is not sealed comes back without: nobody else would tell before more is lost. */
export async function findDamagedAncestors(
  repository: Repository,
  storage: Storage,
  { id, encrypted, lineage }: BackupMetadata,
  known: (id: BackupId) => CatalogBackup | undefined,
): Promise<readonly string[]> {
  const ancestors = encrypted ? [] : lineage.filter((member) => member.id !== id);
  const looks = ancestors.map(async (member) => {
    try {
      await readAncestor(repository, storage, member, known(member.id));
      return [];
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      const isDamage = error.code === "BACKUP_CORRUPTED" || error.code === "UNSUPPORTED_FORMAT";
      return isDamage ? [`ancestor ${member.id} is damaged, which this restore does without: ${error.message}`] : [];
    }
  });
  return (await Promise.all(looks)).flat();
}

/** Damage that reading alone took for something else, or of which it does not say what helps; `undefined` if it was right. */
async function damageBehind(
  repository: Repository,
  storage: ReadableStorage,
  { storagePath, copies, metadata }: CatalogBackup,
  error: unknown,
): Promise<BackupctlError | undefined> {
  if (!isBackupctlError(error)) return undefined;
  if (error.code === "BACKUP_CORRUPTED" && error.hint === undefined) return damaged(error.message, error);
  if (metadata === undefined) return undefined;
  // The catalog could not have read it either.
  if (error.code === "UNSUPPORTED_FORMAT") return damaged(error.message, error);
  if (error.code !== "BACKUP_NOT_FOUND") return undefined;
  const state = copies.find((copy) => copy.storage === storage.name)?.state;
  if (state === "pending" || (state === undefined && storage.name !== repository.primaryName)) return undefined;
  const names = await namesIn(storage, storagePath);
  if (names.includes(DELETED_NAME)) return undefined;
  if (names.length > 0)
    return damaged(`${storagePath}/${METADATA_NAME} is missing in storage "${storage.name}"`, error);
  if (state === undefined) return undefined;
  return damaged(`${storagePath} is missing in storage "${storage.name}", with all that was in it`, error, GONE_HINT);
}

/** In canonical form: the order of members may be another one. */
function isSame(left: BackupMetadata, right: BackupMetadata): boolean {
  return canonicalJson({ ...left }) === canonicalJson({ ...right });
}

/**
 * The keys objects, where none is the one that the catalog knows. `undefined` also where it knows none, and where all are later than the
 * first: others, which another host made, may have taken its place.
 */
function changedKeys({ keysObjects }: StoredBackup, { keysSha256 }: CatalogBackup): string | undefined {
  if (keysSha256 === undefined || [...keysObjects.values()].includes(keysSha256)) return undefined;
  const names = [...keysObjects.keys()];
  if (!names.some((name) => parseNumberedName(name)?.n === FIRST_KEYS)) return undefined;
  return `its keys (${names.join(", ")}) are not what was written`;
}

async function namesIn(storage: ReadableStorage, directory: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { key } of storage.list(directory)) names.push(key.slice(directory.length + 1));
  return names;
}

const DAMAGED_HINT =
  "Use another copy, if there is one (`backupctl show ID` lists them), or another backup: `backupctl list`.";
/** A deletion removes its own traces: where another host did it, nothing tells it from damage. */
const GONE_HINT = `${DAMAGED_HINT} If it was deleted on purpose, run \`backupctl catalog rebuild\`.`;

function damaged(message: string, cause?: unknown, hint = DAMAGED_HINT): BackupctlError {
  return new BackupctlError("BACKUP_CORRUPTED", message, { hint, cause });
}
