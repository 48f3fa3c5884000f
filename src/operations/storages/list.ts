import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import { lagOf } from "../../domain/copies.ts";
import { isBackupctlError } from "../../errors.ts";
import type { StorageSpace } from "../../storage/storage.ts";
import { expectedIn } from "../cleanup/judge.ts";
import type { OperationContext } from "../context.ts";
import type { StorageSummary } from "../operations.ts";
import { readRepositoryId, requireSameRepository } from "../repository/repository.ts";
import { openStorage, type Session, storageDefinition } from "../session.ts";

/** Every configured storage: what the catalog knows to lie there, and what the place itself says. One that is away is no error here. */
export async function listStorages(context: OperationContext): Promise<readonly StorageSummary[]> {
  const { session } = context;
  const catalog = await catalogIfThere(context);
  const backups = catalog?.list({}).backups.filter(({ committed }) => committed) ?? [];
  const repositoryId = catalog?.repositoryId();
  return Promise.all(
    session.loaded.config.storages.map(async (entry) => ({
      name: entry.name,
      type: entry.type,
      role: entry.role,
      ...holdings(entry, backups, expectedIn(session, entry, backups)),
      ...(await ask(session, entry, repositoryId)),
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

function holdings({ name, role }: StorageConfig, backups: readonly CatalogBackup[], expected: ReadonlySet<BackupId>) {
  const bytesByType: Record<string, number> = {};
  const copies = { complete: 0, damaged: 0 };
  const stateOf = (backup: CatalogBackup) => backup.copies.find(({ storage }) => storage === name)?.state;
  for (const backup of backups) {
    const state = stateOf(backup);
    if (state !== "complete" && state !== "damaged") continue;
    copies[state] += 1;
    bytesByType[backup.type] = (bytesByType[backup.type] ?? 0) + (backup.outline?.stored_size ?? 0);
  }
  const storedBytes = Object.values(bytesByType).reduce((sum, bytes) => sum + bytes, 0);
  // An archive is given what it is asked to keep, and lacks nothing else.
  const isExpected = (backup: CatalogBackup): boolean =>
    expected.has(backup.id) && (role !== "archive" || stateOf(backup) !== undefined);
  const lag = lagOf(backups.filter(isExpected), (backup) => {
    const state = stateOf(backup);
    return state === "complete" || state === "damaged";
  });
  return { copies, storedBytes, bytesByType, lag };
}

async function ask(
  session: Session,
  { name, type }: StorageConfig,
  repositoryId: string | undefined,
): Promise<Pick<StorageSummary, "address" | "space" | "problem">> {
  let address: string | undefined;
  let space: StorageSpace = {};
  try {
    address = await storageDefinition(session, type).address(await session.loaded.resolveStorage(name));
    const storage = await openStorage(session, name, { once: true });
    try {
      space = await storage.space({ signal: session.signal });
      const found = await readRepositoryId(storage);
      requireSameRepository(name, found, repositoryId ?? found);
      return { address, space, problem: undefined };
    } finally {
      await storage.close();
    }
  } catch (error) {
    if (!isBackupctlError(error) || error.code === "INTERRUPTED") throw error;
    return { address, space, problem: { code: error.code, message: error.message, hint: error.hint } };
  }
}
