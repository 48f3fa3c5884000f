import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { PackSource } from "../../format/block-reader.ts";
import type { Storage } from "../../storage/storage.ts";
import { type Repository, readBackup, readDataKey } from "./repository.ts";

/**
 * The packs of a backup and its ancestors as one storage has them. Which directory belongs to which ancestor says the lineage in
 * the backup's own metadata; data keys are unwrapped at their first use, once for each ancestor.
 */
export function openPackSource(
  repository: Repository,
  storage: Storage,
  metadata: BackupMetadata,
  signal?: AbortSignal,
): PackSource {
  const directories = new Map<BackupId, string>(metadata.lineage.map((member) => [member.id, member.path]));
  directories.set(metadata.id, metadata.storage_path);
  const keys = new Map<BackupId, Promise<Buffer | undefined>>();

  function directoryOf(origin: BackupId): string {
    const directory = directories.get(origin);
    if (directory !== undefined) return directory;
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
    try {
      const { dataKey, problem } = await readBackup(repository, storage, directoryOf(origin));
      if (dataKey === undefined && problem !== undefined) throw problem;
      return dataKey;
    } catch (error) {
      if (!isBackupctlError(error, "BACKUP_NOT_FOUND")) throw error;
      throw new BackupctlError(
        "BACKUP_CORRUPTED",
        `backup ${metadata.id} needs its ancestor ${origin}, which is gone: ${directoryOf(origin)}/metadata.json is missing`,
        {
          hint: `It is not in storage "${storage.name}"; restore another backup: \`backupctl list\`.`,
          cause: error,
        },
      );
    }
  }

  return {
    async get(origin, objectName, offset, length) {
      signal?.throwIfAborted();
      const key = `${directoryOf(origin)}/${objectName}`;
      return storage.get(key, { offset, length }, signal === undefined ? {} : { signal });
    },
    dataKey(origin) {
      const known = keys.get(origin) ?? readKey(origin);
      keys.set(origin, known);
      return known;
    },
  };
}
