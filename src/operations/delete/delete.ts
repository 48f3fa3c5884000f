import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import { type DeletionPlan, planDeletion, refusalOf } from "../../domain/deletion.ts";
import { BackupctlError } from "../../errors.ts";
import { acquireLock, readHolder } from "../../platform/lock.ts";
import type { OperationContext } from "../context.ts";
import type { DeletePlan, DeleteRequest, DeleteResult } from "../operations.ts";
import { summaryOf } from "../repository/backup-summary.ts";
import { adoptFinishedRuns } from "../repository/dead-runs.ts";
import { resolveReference } from "../repository/references.ts";
import { requireReadable } from "../repository/unreadable-backups.ts";
import { type Session, statePaths } from "../session.ts";
import { locksOn } from "./locked-copies.ts";
import { removeBackups } from "./objects.ts";

/**
 * What `delete` would remove and what stands against it, which it does not refuse: by the catalog, and by the storages that are not on this
 * host, which are asked for locks. Changes nothing.
 * @throws as `deleteBackups` where no storage can be had, or the primary is not of the catalog's repository
 */
export async function planDelete(context: OperationContext, request: DeleteRequest): Promise<DeletePlan> {
  const { session } = context;
  // Else the catalog alone would be asked, which knows nothing of a disk that was swapped.
  await context.repository();
  const catalog = await context.catalog("read");
  const lock = await readHolder((await statePaths(session)).lock);
  const runningId = lock.alive ? lock.holder?.backupId : undefined;
  const { deletions, protections } = decide(session, catalog, request, runningId);
  const { locked, refused, unasked } = await locksOn(session, deletions);
  const bytes = deletions.reduce((sum, backup) => sum + bytesOf(backup), 0);
  return {
    backups: deletions.map(summaryOf),
    protections: [...refused, ...protections].map(({ kind, backupId, text, forcible }) => {
      return { kind, backupId, text, forcible };
    }),
    bytesFreed: bytes - locked.reduce((sum, each) => sum + each.bytes, 0),
    ...{ locked, unasked },
  };
}

/**
 * Deletes what was agreed to, newest first: a backup, with `withDescendants` all that build on it too. Goes on where an earlier try
 * was killed.
 * @throws `RETENTION_POLICY_VIOLATION` for what protects it (`force` with a reason lifts all but what another backup needs),
 * `BACKUP_IN_PROGRESS`, `USAGE` for force without a reason.
 */
export async function deleteBackups(
  context: OperationContext,
  request: DeleteRequest,
  agreed: DeletePlan,
): Promise<DeleteResult> {
  const { session } = context;
  requireReason(request);
  const repository = await context.repository();
  const lock = await acquireLock(
    repository.state.lock,
    { operation: "delete" },
    { waitMs: request.lockWaitMs, signal: session.signal, clock: session.clock },
  );
  try {
    const catalog = await context.catalog("write");
    // Else a whole backup, whose run was killed at its very end, would pass for one that failed and that nothing protects.
    await adoptFinishedRuns(session, repository, catalog);
    // With the lock held nothing else runs on this host.
    const plan = decide(session, catalog, sameBackup(request, agreed), undefined);
    const refusal = refusalOf(plan, request);
    if (refusal !== undefined) throw refusal;
    requireAgreed(plan, agreed);
    const [first] = plan.deletions;
    if (first !== undefined) await lock.update({ backupId: first.id });
    const freed = await removeBackups({
      session,
      repository,
      catalog,
      deletions: plan.deletions,
      detail: {
        reason: request.reason ?? null,
        forced: request.force,
        lifted: plan.protections.map(({ kind, backupId, text }) => ({ kind, backup_id: backupId, text })),
      },
      holdsAreLifted: request.force,
    });
    const deletedAt = session.clock.now().toISOString();
    return { deleted: plan.deletions.map(({ id }) => id), ...freed, deletedAt };
  } finally {
    await lock.release();
  }
}

function requireReason({ force, reason }: DeleteRequest): void {
  if (!force || (reason !== undefined && reason.trim() !== "")) return;
  throw new BackupctlError("USAGE", "--force needs a reason", {
    hint: 'Say why with --reason "…": it is kept in the log.',
  });
}

/** The request that names what `latest` meant when it was agreed to, which all others of the plan build on. */
function sameBackup(request: DeleteRequest, { backups }: DeletePlan): DeleteRequest {
  return { ...request, reference: backups.at(-1)?.id ?? request.reference };
}

function requireAgreed(plan: DeletionPlan<CatalogBackup>, { backups }: DeletePlan): void {
  const unseen = plan.deletions.find(({ id }) => !backups.some((backup) => backup.id === id));
  if (unseen === undefined) return;
  throw new BackupctlError(
    "RETENTION_POLICY_VIOLATION",
    `backup ${unseen.id} was made since the deletion was planned`,
    {
      hint: "Nothing was deleted. See what would go now with --dry-run, then delete again.",
    },
  );
}

function decide(
  session: Session,
  catalog: Catalog,
  request: DeleteRequest,
  runningId: string | undefined,
): DeletionPlan<CatalogBackup> {
  const target = asIs(session, resolveReference(catalog, request.reference), runningId);
  if (target.error?.code === "UNSUPPORTED_FORMAT" && !request.force) requireReadable(target);
  const backups = catalog.list({}).backups.map((backup) => asIs(session, backup, runningId));
  const plan = planDeletion({ target, backups, withDescendants: request.withDescendants, now: session.clock.now() });
  const begun = new Set(plan.deletions.filter(({ status }) => status === "deleting").map(({ id }) => id));
  // What policy had to say was said before the first object went: half a backup protects nobody.
  const protections = plan.protections.filter(({ kind, backupId }) => kind === "needed" || !begun.has(backupId));
  return { deletions: plan.deletions, protections };
}

/** A run of this host that nobody runs has died: what it left may go. */
function asIs(session: Session, backup: CatalogBackup, runningId: string | undefined): CatalogBackup {
  const running = backup.status === "running" || backup.status === "pending";
  return running && backup.host === session.host && backup.id !== runningId ? { ...backup, status: "failed" } : backup;
}

function bytesOf({ metadata, copies }: CatalogBackup): number {
  return (metadata?.stored_size ?? 0) * Math.max(1, copies.filter(({ state }) => state !== "missing").length);
}
