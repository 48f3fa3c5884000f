import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, LineageMember } from "../../domain/backup.ts";
import { METADATA_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { type PackSource, StoredDamage } from "../../format/pack-source.ts";
import type { Clock } from "../../platform/clock.ts";
import { readAncestor } from "./committed-backup.ts";
import { DAMAGE, isWithoutCopy, mendedBy, noCopyIn, notUsed, readAnyCopy } from "./copies.ts";
import { impatience } from "./impatience.ts";
import type { ReadableStorage } from "./read-object.ts";
import { type Repository, readAnyDataKey, readDataKey, type StoredBackup } from "./repository.ts";
import { isUnreachable } from "./unreachable.ts";

interface PackSourceOptions {
  readonly signal?: AbortSignal;
  /** What the catalog knows of an ancestor: it tells damage from a wrong key. */
  readonly known?: (id: BackupId) => CatalogBackup | undefined;
  /** Has an ancestor whose metadata are damaged opened with any key that lies there, and is told why. What no key opens is damage, too. */
  readonly salvage?: ((why: string) => void) | undefined;
  /** Is told once for each object that another copy is read instead. */
  readonly warn?: (message: string) => void;
  /** Is told which backup's objects are damaged or missing in which storage. */
  readonly onDamage?: (origin: BackupId, storageName: string) => void;
  /** Where it is given, and there are other copies, a storage that tries again is not waited for to the end. */
  readonly clock?: Clock;
}

/**
 * The packs of a backup and its ancestors, of the first of the storages `names`; behind it those of the others. Which directory belongs
 * to which ancestor says the lineage in the backup's own metadata; data keys are unwrapped at their first use, once for each ancestor.
 * A storage that turns out to be away is not asked again, unless no other has what is wanted.
 */
export function openPackSource(
  repository: Repository,
  names: readonly string[],
  metadata: BackupMetadata,
  options: PackSourceOptions = {},
): PackSource {
  const { signal, warn, clock } = options;
  const members = new Map<BackupId, LineageMember>(metadata.lineage.map((member) => [member.id, member]));
  const keys = new Map<BackupId, Promise<Buffer | undefined>>();
  const away = new Map<string, { readonly error: BackupctlError; readonly isFinal: boolean }>();
  const told = new Set<string>();

  const memberOf = (origin: BackupId): LineageMember => {
    const member = members.get(origin);
    if (member !== undefined) return member;
    throw new BackupctlError(
      "BACKUP_CORRUPTED",
      `backup ${metadata.id} refers to ${origin}, which is not of its lineage`,
      {
        hint: "Restore another backup: `backupctl list`.",
      },
    );
  };

  /** Of the copies in their order; behind them once more, with patience, of those that were left out. */
  function copy(i: number): PackSource | undefined {
    const name = names[i % names.length];
    if (name === undefined || i >= 2 * names.length) return undefined;
    const isLastTry = i >= names.length;
    if (isLastTry && away.get(name)?.isFinal !== false) return copy(i + 1);
    return {
      async get(origin, objectName, offset, length) {
        signal?.throwIfAborted();
        const failure = away.get(name);
        if (failure !== undefined && !isLastTry) throw failure.error;
        const storage = await repository.storage(name);
        const key = `${memberOf(origin).path}/${objectName}`;
        const mayWait = isLastTry || names.length === 1 || clock === undefined;
        const patient = signal === undefined ? {} : { signal };
        const bytes = await storage.get(key, { offset, length }, mayWait ? patient : impatience(clock, signal));
        if (isLastTry) away.delete(name);
        if (bytes === undefined) refuseWhereNone(origin, name);
        return bytes;
      },
      dataKey(origin) {
        const known = keys.get(origin) ?? readKey(repository, names, metadata, origin, memberOf, options);
        keys.set(origin, known);
        return known;
      },
      otherwise(error) {
        signal?.throwIfAborted();
        if (error instanceof StoredDamage) noteDamage(name, error);
        else if (isUnreachable(error)) leaveOut(name, error, isLastTry);
        else if (!isBackupctlError(error, "OBJECT_COLD") && !isBackupctlError(error, "BACKUP_NOT_FOUND"))
          return undefined;
        return copy(i + 1);
      },
      replaced(error) {
        if (error instanceof StoredDamage) sayReplaced(name, error);
      },
    };
  }

  /** Nothing lacks there. Of one that is known nowhere there may be a copy anywhere. */
  function refuseWhereNone(origin: BackupId, name: string): void {
    const backup = options.known?.(origin);
    if (names.length > 1 && backup !== undefined && isWithoutCopy(backup, name)) throw noCopyIn(name, backup);
  }

  function noteDamage(name: string, damage: StoredDamage): void {
    // Of metadata all copies were asked at once.
    if (damage.objectName === METADATA_NAME) return;
    if (names.length > 1) damage.storageName = name;
    options.onDamage?.(damage.origin, name);
  }

  function sayReplaced(name: string, { origin, objectName, message }: StoredDamage): void {
    const { path } = memberOf(origin);
    const object = `${name} ${path}/${objectName}`;
    if (told.has(object)) return;
    told.add(object);
    warn?.(`${path}/${message} (storage "${name}"); another copy is read instead, and ${mendedBy(origin, name)}`);
  }

  function leaveOut(name: string, error: BackupctlError, isFinal: boolean): void {
    away.set(name, { error, isFinal });
    repository.leaveOut(name, error);
  }

  const first = copy(0);
  if (first === undefined) throw new RangeError("no copy to read");
  return first;
}

async function readKey(
  repository: Repository,
  names: readonly string[],
  metadata: BackupMetadata,
  origin: BackupId,
  memberOf: (origin: BackupId) => LineageMember,
  { known, salvage, warn, onDamage }: PackSourceOptions,
): Promise<Buffer | undefined> {
  const ofAnyCopy = <T>(read: (storage: ReadableStorage) => Promise<T>): Promise<T> =>
    readAnyCopy(repository, names, read);
  if (origin === metadata.id) return ofAnyCopy((storage) => readDataKey(repository, storage, metadata));
  const member = memberOf(origin);
  const failures = new Map<string, BackupctlError>();
  const onFailure = (name: string, error: BackupctlError): void => {
    failures.set(name, error);
    if (error.code === "BACKUP_CORRUPTED" && !isUnreachable(error)) onDamage?.(origin, name);
  };
  try {
    const { dataKey } = await readAnyCopy(repository, names, readMember, onFailure);
    for (const [name, error] of failures) warn?.(`ancestor ${origin}: ${notUsed(origin, name, error)}`);
    return dataKey;
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    const isLocked = error.code === "ENCRYPTION_KEY_NOT_FOUND";
    if (!DAMAGE.includes(error.code) && !(isLocked && salvage !== undefined)) throw error;
    const what = `its ancestor ${origin} is damaged: ${error.message}`;
    const key = salvage === undefined || isLocked ? undefined : await anyKey();
    if (key === undefined) throw new StoredDamage(origin, METADATA_NAME, what, error);
    salvage?.(`${what}; its blocks are opened with the key that lies there`);
    return key;
  }

  async function readMember(storage: ReadableStorage): Promise<StoredBackup> {
    const inCatalog = known?.(origin);
    try {
      return await readAncestor(repository, storage, member, inCatalog);
    } catch (error) {
      const isGone = isBackupctlError(error) && isBackupctlError(error.cause, "BACKUP_NOT_FOUND");
      throw isGone && inCatalog !== undefined && isWithoutCopy(inCatalog, storage.name)
        ? noCopyIn(storage.name, inCatalog)
        : error;
    }
  }

  async function anyKey(): Promise<Buffer | undefined> {
    try {
      return await ofAnyCopy((storage) => readAnyDataKey(repository, storage, member));
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      return undefined;
    }
  }
}
