import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupNotes } from "../../domain/backup.ts";
import { isBackupctlError } from "../../errors.ts";
import { copiesOf } from "../repository/copies.ts";
import { writeNotes } from "../repository/write-notes.ts";
import type { Verified, Verifying } from "./backup.ts";

export function stateIn({ copies }: CatalogBackup, storage: string): string | undefined {
  return copies.find((copy) => copy.storage === storage)?.state;
}

export function mayHold(state: string | undefined): boolean {
  return state !== undefined && state !== "pending";
}

/**
 * Writes what was found of a backup in one storage, and of its ancestors that are damaged there, beside them and into the catalog. A storage
 * that takes no notes (read-only, full) does not make a sound backup unsound: that is warned about.
 */
export async function record(verifying: Verifying, backup: CatalogBackup, verified: Verified): Promise<void> {
  const { context, storage } = verifying;
  const { session } = context;
  const { passed, depth, verifiedAt: at, seconds, issues, checks } = verified.verification;
  const catalog = await context.catalog("write");
  catalog.addVerification({
    backupId: backup.id,
    at,
    depth,
    passed,
    storage: storage.name,
    seconds,
    issues: issues.map(session.clean),
  });
  await recordAncestors(verifying, catalog, verified);
  // Without its key, or a place to restore it to, nothing is known of it: which is no damage.
  if (!verified.conclusive || (!verified.trusted && checks.encryption_validation === "failed")) return;
  const known = catalog.get(backup.id);
  if (known !== undefined) await recordState(verifying, catalog, known, verified);
}

/** What builds on a damaged backup can't be restored, and nothing further must be built on it. */
async function recordAncestors(verifying: Verifying, catalog: Catalog, verified: Verified): Promise<void> {
  const { depth, verifiedAt } = verified.verification;
  for (const [id, trusted] of verified.damagedAncestors) {
    const known = catalog.get(id);
    // A note for each of its descendants would tell nothing new.
    if (known === undefined || stateIn(known, verifying.storage.name) !== "complete") continue;
    await recordState(verifying, catalog, known, { trusted, verification: { depth, verifiedAt, passed: false } });
  }
}

interface Found {
  /** Its metadata could be believed. */
  readonly trusted: boolean;
  readonly verification: Pick<Verified["verification"], "depth" | "verifiedAt" | "passed">;
}

async function recordState(
  verifying: Verifying,
  catalog: Catalog,
  known: CatalogBackup,
  { trusted, verification: { depth, verifiedAt: at, passed } }: Found,
): Promise<void> {
  const { context, storage, request } = verifying;
  const { session } = context;
  const wholly = request.components.length === 0 && depth !== "quick";
  const state = passed ? "complete" : "damaged";
  if ((!passed || wholly) && stateIn(known, storage.name) !== state)
    catalog.setCopy({ backupId: known.id, storage: storage.name, state, at });
  if (!passed && isWholeElsewhere(verifying, known)) return;
  // A part that is sound says nothing of the whole, and a quick look nothing against a thorough one.
  if (passed && !wholly && (request.components.length > 0 || (known.notes.verified?.depth ?? "quick") !== "quick"))
    return;
  const verified = { at, depth, passed, host: session.host };
  if (!trusted) return catalog.setNotes(known.id, { ...known.notes, verified });
  try {
    const change = (notes: BackupNotes): BackupNotes => ({ ...notes, verified });
    await writeNotes(context, known.id, known.storagePath, { needsKey: true, change });
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    session.logger.warn(`the verification of backup ${known.id} could not be recorded in storage: ${error.message}`);
  }
}

/** A backup has failed where no copy of it can be restored: with another one it is as good as before, and `latest`. */
function isWholeElsewhere({ context, storage }: Verifying, known: CatalogBackup): boolean {
  return copiesOf(context.session, known).some((name) => name !== storage.name && stateIn(known, name) === "complete");
}
