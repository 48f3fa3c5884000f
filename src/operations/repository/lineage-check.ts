import type { Catalog } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, LineageMember } from "../../domain/backup.ts";
import { copyDefect, type SeenObjects } from "../../domain/copies.ts";
import { DELETED_NAME, METADATA_NAME } from "../../domain/object-names.ts";
import { isBackupctlError } from "../../errors.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { keylessProblem, type Repository, readDataKey } from "./repository.ts";

/** A member of a lineage that nothing can be built on, and why. */
export interface LineageDefect {
  readonly id: BackupId;
  readonly reason: string;
}

/** Where lineages are looked at. */
export interface LineageLook {
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly storage: Storage;
}

/** Looks into one storage: every object of every member there, of the right size, and its data key within reach. */
export async function findLineageDefect(
  { repository, catalog, storage }: LineageLook,
  lineage: readonly LineageMember[],
): Promise<LineageDefect | undefined> {
  for (const { id } of lineage) {
    const metadata = catalog.get(id)?.metadata;
    if (metadata === undefined) return { id, reason: "the catalog does not know it" };
    const reason = (await objectDefect(storage, metadata)) ?? (await keyDefect(repository, storage, metadata));
    if (reason !== undefined) return { id, reason };
  }
  return undefined;
}

/** The first of `ancestors` that is deleted, or about to be, in a storage that a backup which builds on them is in. */
export async function findDeletedAncestor(
  storage: Storage,
  ancestors: readonly LineageMember[],
  options?: OperationOptions,
): Promise<LineageMember | undefined> {
  for (const member of ancestors) {
    if (!(await isThere(storage, member.path, options))) return member;
  }
  return undefined;
}

async function isThere(storage: Storage, directory: string, options?: OperationOptions): Promise<boolean> {
  const [metadata, deleted] = await Promise.all([
    storage.stat(`${directory}/${METADATA_NAME}`, options),
    storage.stat(`${directory}/${DELETED_NAME}`, options),
  ]);
  return metadata !== undefined && deleted === undefined;
}

/** What is missing of a backup in a storage, by listing it; `undefined` if it is complete there. */
export async function objectDefect(
  storage: Storage,
  metadata: BackupMetadata,
  options?: OperationOptions,
): Promise<string | undefined> {
  const defect = copyDefect(metadata, await listObjects(storage, metadata.storage_path, options));
  return defect === undefined ? undefined : `${defect} in storage "${storage.name}"`;
}

/** What lies in a backup's directory. */
export async function listObjects(
  storage: Storage,
  directory: string,
  options?: OperationOptions,
): Promise<SeenObjects> {
  const seen = new Map<string, number>();
  for await (const { key, sizeBytes } of storage.list(directory, options))
    seen.set(key.slice(directory.length + 1), sizeBytes);
  return seen;
}

async function keyDefect(
  repository: Repository,
  storage: Storage,
  metadata: BackupMetadata,
): Promise<string | undefined> {
  if (keylessProblem(repository, metadata) !== undefined) return "no key proves it";
  try {
    await readDataKey(repository, storage, metadata);
    return undefined;
  } catch (error) {
    if (isBackupctlError(error, "ENCRYPTION_KEY_NOT_FOUND")) return "none of the configured keys opens it";
    if (isBackupctlError(error, "BACKUP_CORRUPTED")) return error.message;
    throw error;
  }
}
