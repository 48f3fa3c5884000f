import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { LineageMember } from "../../domain/backup.ts";
import { isBackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import type { RepairedObject } from "../operations.ts";
import { readAncestor, readCommitted } from "../repository/committed-backup.ts";
import { copiesOf, readAnyCopy } from "../repository/copies.ts";
import type { StoredBackup } from "../repository/repository.ts";
import { requireTrusted } from "../repository/trust.ts";
import type { Verifying } from "./backup.ts";
import { mendDirectory } from "./mending.ts";

/**
 * Replaces each object of a backup and of its ancestors that is damaged or missing in one storage by a proven one from another. Ancestors
 * come first, and of each metadata.json last: killed anywhere, the next repair goes on. What nothing sound is left of stays as it is.
 * @param extent what was found sound may still lack keys or notes that only another copy has
 * @throws what the storage that is repaired throws: then an object of it may be gone that was damaged before
 */
export async function repairCopy(
  verifying: Verifying,
  backup: CatalogBackup,
  extent: "all" | "keys and notes",
): Promise<readonly RepairedObject[]> {
  const { context, storage, known } = verifying;
  const { session } = context;
  const catalog = await context.catalog("write");
  const others = copiesOf(session, backup).filter((name) => name !== storage.name);
  const own = await proven(verifying, others, (copy) => readOwn(verifying, copy, backup));
  if (own === undefined) return [];
  const repaired: RepairedObject[] = [];
  let isWhole = true;
  for (const member of own.metadata.lineage.slice(0, -1)) {
    const ancestor = await proven(verifying, others, (copy) => readMember(verifying, copy, member));
    const mended = ancestor === undefined ? undefined : await mendDirectory(verifying, others, ancestor, extent);
    repaired.push(...(mended?.repaired ?? []));
    isWhole &&= mended?.isWhole === true;
    const state = known(member.id)?.copies.find((copy) => copy.storage === storage.name)?.state;
    if (!isWhole || extent !== "all" || state === undefined || state === "complete") continue;
    const at = session.clock.now().toISOString();
    catalog.setCopy({ backupId: member.id, storage: storage.name, state: "complete", at });
  }
  repaired.push(...(await mendDirectory(verifying, others, own, extent)).repaired);
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

/** What the first copy says that is proven, the one to be repaired first; `undefined` where none is: nothing can be repaired by it. */
async function proven(
  { repository, storage }: Verifying,
  others: readonly string[],
  read: (copy: Storage) => Promise<StoredBackup>,
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
  copy: Storage,
  backup: CatalogBackup,
): Promise<StoredBackup> {
  const stored = await readCommitted(repository, copy, backup);
  requireTrusted(context.session, stored, request.allowUnencrypted);
  return stored;
}

function readMember({ repository, known }: Verifying, copy: Storage, member: LineageMember): Promise<StoredBackup> {
  return readAncestor(repository, copy, member, known(member.id));
}
