import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { LineageMember } from "../../domain/backup.ts";
import { isBackupctlError } from "../../errors.ts";
import { type Holding, seeDirectories } from "../copies/holdings.ts";
import type { RepairedObject } from "../operations.ts";
import { readAncestor, readCommitted } from "../repository/committed-backup.ts";
import { copiesOf, readAnyCopy } from "../repository/copies.ts";
import type { ReadableStorage } from "../repository/read-object.ts";
import type { Repository, StoredBackup } from "../repository/repository.ts";
import { requireTrusted } from "../repository/trust.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import type { Verifying } from "./backup.ts";
import { type Mending, mendDirectory } from "./mending.ts";

/**
 * Replaces each object of a backup and of its ancestors that is damaged or missing in one storage by a proven one from another. Ancestors
 * come first, and of each metadata.json last: killed anywhere, the next repair goes on. What nothing sound is left of stays as it is.
 * @param extent what was found sound may still lack keys or notes that only another copy has
 * @throws what the storage that is repaired throws: then an object of it may be gone that was damaged before
 */
export async function repairCopy(
  verifying: Verifying,
  backup: CatalogBackup,
  extent: Mending["extent"],
): Promise<readonly RepairedObject[]> {
  const { context, repository, storage, known } = verifying;
  const { session } = context;
  const catalog = await context.catalog("write");
  const names = copiesOf(session, backup).filter((name) => name !== storage.name);
  const own = await proven(verifying, names, (copy) => readOwn(verifying, copy, backup));
  if (own === undefined) return [];
  const { lineage } = own.metadata;
  const directories = lineage.map(({ path }) => path);
  const target = await seeDirectories(storage, directories);
  const others = await seeReachable(repository, names, directories);
  const warn = (message: string): void => session.logger.warn(message);
  const mending: Mending = { session, repository, catalog, target, others, extent, away: new Set(), warn };
  const repaired: RepairedObject[] = [];
  let isWhole = true;
  for (const member of lineage.slice(0, -1)) {
    const ancestor = await proven(verifying, names, (copy) => readMember(verifying, copy, member));
    const inCatalog = known(member.id);
    const mended = ancestor === undefined ? undefined : await mendDirectory(mending, ancestor, inCatalog?.keysSha256);
    repaired.push(...(mended?.repaired ?? []));
    isWhole &&= mended?.isWhole === true;
    const state = inCatalog?.copies.find((copy) => copy.storage === storage.name)?.state;
    if (!isWhole || extent !== "all" || state === undefined || state === "complete") continue;
    const at = session.clock.now().toISOString();
    catalog.setCopy({ backupId: member.id, storage: storage.name, state: "complete", at });
  }
  repaired.push(...(await mendDirectory(mending, own, known(backup.id)?.keysSha256)).repaired);
  if (repaired.length === 0) return [];
  catalog.addEvent({
    at: session.clock.now().toISOString(),
    action: "backup:repair",
    user: session.user,
    backupId: backup.id,
    status: "completed",
    detail: { storage: storage.name, objects: repaired.length },
  });
  return repaired;
}

async function seeReachable(
  repository: Repository,
  names: readonly string[],
  directories: readonly string[],
): Promise<readonly Holding[]> {
  const holdings: Holding[] = [];
  for (const name of names) {
    try {
      holdings.push(await seeDirectories(await repository.storage(name), directories));
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      repository.leaveOut(name, error);
    }
  }
  return holdings;
}

/** What the first copy says that is proven, the one to be repaired first; `undefined` where none is: nothing can be repaired by it. */
async function proven(
  { repository, storage }: Verifying,
  others: readonly string[],
  read: (copy: ReadableStorage) => Promise<StoredBackup>,
): Promise<StoredBackup | undefined> {
  try {
    return await readAnyCopy(repository, [storage.name, ...others], read);
  } catch (error) {
    if (!isBackupctlError(error) || error.code === "INTERRUPTED") throw error;
    return undefined;
  }
}

async function readOwn(
  { context, repository, request }: Verifying,
  copy: ReadableStorage,
  backup: CatalogBackup,
): Promise<StoredBackup> {
  const stored = await readCommitted(repository, copy, backup);
  requireTrusted(context.session, stored, request.allowUnencrypted);
  return stored;
}

function readMember(
  { repository, known }: Verifying,
  copy: ReadableStorage,
  member: LineageMember,
): Promise<StoredBackup> {
  return readAncestor(repository, copy, member, known(member.id));
}
