import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, LineageMember } from "../../domain/backup.ts";
import { copyDefect, type SeenObjects } from "../../domain/copies.ts";
import { DELETED_NAME, METADATA_NAME } from "../../domain/object-names.ts";
import { isBackupctlError } from "../../errors.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import { keylessProblem, type Repository, readDataKey } from "./repository.ts";

/** A chain may have a hundred members, and each look into a storage behind a network takes its time. */
const LOOKS_AT_ONCE = 8;

/** A member of a lineage that nothing can be built on, and why. */
export interface LineageDefect {
  readonly id: BackupId;
  readonly reason: string;
  /** What the storage has of it is not whole, or not as it was written. */
  readonly damaged: boolean;
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
  return findDefect(catalog, lineage, async ({ metadata }) => {
    return (await objectDefect(storage, metadata)) ?? (await keyDefect(repository, storage, metadata));
  });
}

/** The first member that is not whole in a storage, as the catalog says and by listing it. */
export async function findLackingMember(
  { catalog, storage }: Omit<LineageLook, "repository">,
  lineage: readonly LineageMember[],
  options: OperationOptions,
): Promise<LineageDefect | undefined> {
  return findDefect(catalog, lineage, async ({ metadata, copies }) => {
    const damaged = copies.some((copy) => copy.storage === storage.name && copy.state === "damaged");
    if (damaged) return { reason: "it is known to be damaged", damaged };
    return objectDefect(storage, metadata, options);
  });
}

type Known = Pick<CatalogBackup, "copies"> & { readonly metadata: BackupMetadata };
type Defect = Omit<LineageDefect, "id">;

async function findDefect(
  catalog: Catalog,
  lineage: readonly LineageMember[],
  look: (known: Known) => Promise<Defect | undefined>,
): Promise<LineageDefect | undefined> {
  const defects = await mapInParallel(lineage, LOOKS_AT_ONCE, async ({ id }) => {
    const { metadata, copies = [] } = catalog.get(id) ?? {};
    if (metadata === undefined) return { id, reason: "the catalog does not know it", damaged: false };
    const defect = await look({ metadata, copies });
    return defect === undefined ? undefined : { id, ...defect };
  });
  return defects.find((defect) => defect !== undefined);
}

/** The first of `ancestors` that is deleted, or about to be, in a storage that a backup which builds on them is in. */
export async function findDeletedAncestor(
  storage: Storage,
  ancestors: readonly LineageMember[],
  options?: OperationOptions,
): Promise<LineageMember | undefined> {
  const there = await mapInParallel(ancestors, LOOKS_AT_ONCE, ({ path }) => isThere(storage, path, options));
  return ancestors.find((_, i) => there[i] !== true);
}

async function isThere(storage: Storage, directory: string, options?: OperationOptions): Promise<boolean> {
  const [metadata, deleted] = await Promise.all([
    storage.stat(`${directory}/${METADATA_NAME}`, options),
    storage.stat(`${directory}/${DELETED_NAME}`, options),
  ]);
  return metadata !== undefined && deleted === undefined;
}

/** What is missing of a backup in a storage, by listing it; `undefined` if it is complete there. */
async function objectDefect(
  storage: Storage,
  metadata: BackupMetadata,
  options?: OperationOptions,
): Promise<Defect | undefined> {
  const seen = await listObjects(storage, metadata.storage_path, options);
  const defect = copyDefect(metadata, seen);
  if (defect === undefined) return undefined;
  return { reason: `${defect} in storage "${storage.name}"`, damaged: !seen.has(DELETED_NAME) };
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
): Promise<Defect | undefined> {
  if (keylessProblem(repository, metadata) !== undefined) return { reason: "no key proves it", damaged: false };
  try {
    await readDataKey(repository, storage, metadata);
    return undefined;
  } catch (error) {
    if (isBackupctlError(error, "ENCRYPTION_KEY_NOT_FOUND"))
      return { reason: "none of the configured keys opens it", damaged: false };
    if (isBackupctlError(error, "BACKUP_CORRUPTED")) return { reason: error.message, damaged: true };
    throw error;
  }
}
