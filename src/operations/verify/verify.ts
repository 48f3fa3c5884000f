import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupNotes } from "../../domain/backup.ts";
import { isGoodSource } from "../../domain/known-backup.ts";
import { formatSpan } from "../../domain/timestamp.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import type { BackupVerification, VerifyRequest, VerifyResult } from "../operations.ts";
import { lookAtUnreadable } from "../repository/look-again.ts";
import { findReferenced } from "../repository/references.ts";
import { passedOverWarning, unreadableIn } from "../repository/unreadable-backups.ts";
import { requireCommitted, writeNotes } from "../repository/write-notes.ts";
import { componentNamed } from "../restore/choice.ts";
import { type Verified, type Verifying, verifyBackup } from "./backup.ts";

/**
 * Checks one backup, all of a span, or all; damage is a result, not an error. What was found is written beside the backup and into the
 * catalog: a backup that failed is no longer `latest` nor anybody's parent until it passes. Waits for no lock.
 * @throws `BACKUP_NOT_FOUND` if there is nothing to check: that is no success.
 */
export async function verifyBackups(context: OperationContext, request: VerifyRequest): Promise<VerifyResult> {
  const repository = await context.repository();
  const catalog = await context.catalog("read");
  if (unreadableIn(catalog).length > 0)
    await lookAtUnreadable(context.session, repository, await context.catalog("write"));
  const backups = await choose(context, catalog, request);
  const storage = request.storage === undefined ? repository.primary : await repository.storage(request.storage);
  const single = request.reference !== undefined;
  const known = (id: BackupId): CatalogBackup | undefined => catalog.get(id);
  const verifying: Verifying = { context, repository, storage, request, known, single, directories: new Map() };
  const results: BackupVerification[] = [];
  for (const backup of backups) {
    context.session.signal.throwIfAborted();
    const verified = await verifyBackup(verifying, backup);
    results.push(verified.verification);
    if (verified.verification.unseen === "pending") continue;
    await record(verifying, backup, verified);
  }
  return { backups: results, passed: results.every(({ passed }) => passed) };
}

async function choose(
  context: OperationContext,
  catalog: Catalog,
  request: VerifyRequest,
): Promise<readonly CatalogBackup[]> {
  const { session } = context;
  const { reference, lastMs, all, components } = request;
  if ([reference !== undefined, lastMs !== undefined, all].filter(Boolean).length !== 1) {
    throw new BackupctlError("USAGE", "verify needs one backup, --last or --all", {
      hint: "For example `backupctl verify latest` or `backupctl verify --last 24h`.",
    });
  }
  if (reference !== undefined) {
    const backup = findReferenced(catalog, reference);
    if (reference === "latest")
      for (const passed of unreadableIn(catalog)) session.logger.warn(passedOverWarning(passed));
    requireCommitted(backup);
    return [backup];
  }
  const from = lastMs === undefined ? {} : { from: new Date(session.clock.now().getTime() - lastMs).toISOString() };
  // Oldest first: what was read of an ancestor need not be read again for its descendants.
  const backups = catalog
    .list({ ...from, order: "oldest" })
    .backups.filter((backup) => isToVerify(backup) && holdsAll(backup, components));
  if (backups.length > 0) return backups;
  const what = components.length === 0 ? "" : ` with ${components.join(", ")}`;
  const when = lastMs === undefined ? "there is" : `in the last ${formatSpan(lastMs)} there was`;
  throw new BackupctlError("BACKUP_NOT_FOUND", `${when} no backup${what}`, {
    hint: "Make one with `backupctl create`.",
  });
}

/** One that can't be read is none, but nobody may take the rest for all. */
function isToVerify({ committed, status }: CatalogBackup): boolean {
  return (committed && status !== "deleting") || status === "unreadable";
}

function holdsAll(backup: CatalogBackup, components: readonly string[]): boolean {
  if (backup.status === "unreadable") return true;
  const held = components.length === 0 ? [] : (backup.metadata?.sources.filter(isGoodSource) ?? []);
  return components.every((name) => componentNamed(held, name) !== undefined);
}

/** A storage that takes no notes (read-only, full) does not make a sound backup unsound: that is warned about. */
async function record(verifying: Verifying, backup: CatalogBackup, verified: Verified): Promise<void> {
  const { context, storage, request, repository } = verifying;
  const { session } = context;
  const { passed, depth, verifiedAt: at, seconds, issues, checks } = verified.verification;
  const catalog = await context.catalog("write");
  catalog.addVerification({ backupId: backup.id, at, depth, passed, storage: storage.name, seconds, issues });
  // Without its key, or a place to restore it to, nothing is known of it: which is no damage.
  if (!verified.conclusive || (!verified.trusted && checks.encryption_validation === "failed")) return;
  const known = catalog.get(backup.id);
  if (known === undefined) return;
  const wholly = request.components.length === 0 && depth !== "quick";
  const state = passed ? "complete" : "damaged";
  const copy = known.copies.find((candidate) => candidate.storage === storage.name);
  if ((!passed || wholly) && copy?.state !== state)
    catalog.setCopy({ backupId: backup.id, storage: storage.name, state, at });
  // Another copy neither ruins what the primary's passed nor heals what it failed.
  const isPrimary = storage.name === repository.primary.name;
  if (!isPrimary && (!passed || known.notes.verified?.passed === false)) return;
  // A part that is sound says nothing of the whole, and a quick look nothing against a thorough one.
  if (passed && !wholly && (request.components.length > 0 || (known.notes.verified?.depth ?? "quick") !== "quick"))
    return;
  const verification = { at, depth, passed, host: session.host };
  if (!verified.trusted) return catalog.setNotes(backup.id, { ...known.notes, verified: verification });
  try {
    const change = (notes: BackupNotes): BackupNotes => ({ ...notes, verified: verification });
    await writeNotes(context, backup.id, backup.storagePath, { needsKey: true, change });
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    session.logger.warn(`the verification of backup ${backup.id} could not be recorded in storage: ${error.message}`);
  }
}
