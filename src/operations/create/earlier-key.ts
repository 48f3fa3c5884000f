import type { Catalog } from "../../catalog/catalog.ts";
import { isBackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import { type Repository, readDataKey } from "../repository/repository.ts";

/** Enough to find one that is sealed: runs that failed and backups without any key lie between. */
const LOOKED_AT = 20;

/**
 * What to say where no configured key opens the newest sealed backup. A key that was replaced makes sound backups, but nobody would
 * notice that all earlier ones are lost without the one before it.
 */
export async function earlierKeyWarning(
  repository: Repository,
  catalog: Catalog,
  lead: Storage,
): Promise<string | undefined> {
  const newest = catalog
    .list({ limit: LOOKED_AT })
    .backups.find(
      ({ metadata, copies }) =>
        typeof metadata?.key_id === "string" &&
        copies.some(({ storage, state }) => storage === lead.name && state === "complete"),
    )?.metadata;
  if (newest === undefined) return undefined;
  try {
    await readDataKey(repository, lead, newest);
    return undefined;
  } catch (error) {
    // Other defects of it are verify's to find, and no reason to make no backup.
    if (!isBackupctlError(error)) throw error;
    if (error.code !== "ENCRYPTION_KEY_NOT_FOUND") return undefined;
    const before = "earlier backups can't be read with this config, and this one is not built on them";
    return `${before}: ${error.message}. Keep the key that they were sealed for, and list it under encryption.keys as well`;
  }
}
