import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, LineageMember } from "../../domain/backup.ts";
import { METADATA_NAME } from "../../domain/object-names.ts";
import { BackupctlError, type ErrorCode, isBackupctlError } from "../../errors.ts";
import { type PackSource, StoredDamage } from "../../format/block-reader.ts";
import type { Storage } from "../../storage/storage.ts";
import { readAncestor } from "./committed-backup.ts";
import { type Repository, readAnyDataKey, readDataKey } from "./repository.ts";

interface PackSourceOptions {
  readonly signal?: AbortSignal;
  /** What the catalog knows of an ancestor: it tells damage from a wrong key. */
  readonly known?: (id: BackupId) => CatalogBackup | undefined;
  /** Has an ancestor whose metadata are damaged opened with any key that lies there, and is told why. What no key opens is damage, too. */
  readonly salvage?: ((why: string) => void) | undefined;
}

const DAMAGE: readonly ErrorCode[] = ["BACKUP_CORRUPTED", "UNSUPPORTED_FORMAT"];

/**
 * The packs of a backup and its ancestors as one storage has them. Which directory belongs to which ancestor says the lineage in
 * the backup's own metadata; data keys are unwrapped at their first use, once for each ancestor.
 */
export function openPackSource(
  repository: Repository,
  storage: Storage,
  metadata: BackupMetadata,
  { signal, known, salvage }: PackSourceOptions = {},
): PackSource {
  const members = new Map<BackupId, LineageMember>(metadata.lineage.map((member) => [member.id, member]));
  const keys = new Map<BackupId, Promise<Buffer | undefined>>();

  function memberOf(origin: BackupId): LineageMember {
    const member = members.get(origin);
    if (member !== undefined) return member;
    throw new BackupctlError(
      "BACKUP_CORRUPTED",
      `backup ${metadata.id} refers to ${origin}, which is not of its lineage`,
      {
        hint: "Restore another backup: `backupctl list`.",
      },
    );
  }

  async function readKey(origin: BackupId): Promise<Buffer | undefined> {
    if (origin === metadata.id) return readDataKey(repository, storage, metadata);
    const member = memberOf(origin);
    try {
      return (await readAncestor(repository, storage, member, known?.(origin))).dataKey;
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      const isLocked = error.code === "ENCRYPTION_KEY_NOT_FOUND";
      if (!DAMAGE.includes(error.code) && !(isLocked && salvage !== undefined)) throw error;
      const what = `its ancestor ${origin} is damaged: ${error.message}`;
      const key = salvage === undefined || isLocked ? undefined : await anyKey(member);
      if (key === undefined) throw new StoredDamage(origin, METADATA_NAME, what, error);
      salvage?.(`${what}; its blocks are opened with the key that lies there`);
      return key;
    }
  }

  async function anyKey(member: LineageMember): Promise<Buffer | undefined> {
    try {
      return await readAnyDataKey(repository, storage, member);
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      return undefined;
    }
  }

  return {
    async get(origin, objectName, offset, length) {
      signal?.throwIfAborted();
      const key = `${memberOf(origin).path}/${objectName}`;
      return storage.get(key, { offset, length }, signal === undefined ? {} : { signal });
    },
    dataKey(origin) {
      const known = keys.get(origin) ?? readKey(origin);
      keys.set(origin, known);
      return known;
    },
  };
}
