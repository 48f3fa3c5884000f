import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import { isBackupctlError } from "../../errors.ts";
import type { StorageSpace } from "../../storage/storage.ts";
import type { OperationContext } from "../context.ts";
import type { StorageSummary } from "../operations.ts";
import { openStorage, type Session, storageDefinition } from "../session.ts";

/** Every configured storage: what the catalog knows to lie there, and what the place itself says. One that is away is no error here. */
export async function listStorages(context: OperationContext): Promise<readonly StorageSummary[]> {
  const { session } = context;
  const backups = (await catalogIfThere(context))?.list({}).backups.filter(({ committed }) => committed) ?? [];
  return Promise.all(
    session.loaded.config.storages.map(async (entry) => ({
      name: entry.name,
      type: entry.type,
      role: entry.role,
      ...holdings(entry.name, backups),
      ...(await ask(session, entry)),
    })),
  );
}

async function catalogIfThere(context: OperationContext): Promise<Catalog | undefined> {
  try {
    return await context.catalog("read");
  } catch (error) {
    // Before `init`, and while the primary storage is away, the places can be looked at all the same.
    if (isBackupctlError(error)) return undefined;
    throw error;
  }
}

function holdings(storage: string, backups: readonly CatalogBackup[]) {
  const bytesByType: Record<string, number> = {};
  const copies = { complete: 0, pending: 0, damaged: 0 };
  for (const backup of backups) {
    const state = backup.copies.find((copy) => copy.storage === storage)?.state ?? "pending";
    if (state === "pending" || state === "missing") copies.pending += 1;
    else {
      copies[state] += 1;
      bytesByType[backup.type] = (bytesByType[backup.type] ?? 0) + (backup.outline?.stored_size ?? 0);
    }
  }
  const storedBytes = Object.values(bytesByType).reduce((sum, bytes) => sum + bytes, 0);
  return { copies, storedBytes, bytesByType };
}

async function ask(
  session: Session,
  { name, type }: StorageConfig,
): Promise<Pick<StorageSummary, "address" | "space" | "problem">> {
  let address: string | undefined;
  try {
    address = await storageDefinition(session, type).address(await session.loaded.resolveStorage(name));
    const storage = await openStorage(session, name, { once: true });
    try {
      const space: StorageSpace = await storage.space({ signal: session.signal });
      return { address, space, problem: undefined };
    } finally {
      await storage.close();
    }
  } catch (error) {
    if (!isBackupctlError(error) || error.code === "INTERRUPTED") throw error;
    return { address, space: {}, problem: { code: error.code, message: error.message, hint: error.hint } };
  }
}
