import type {
  BackupVerification,
  ReplicateResult,
  RestorePlan,
  RestoreResult,
  RunStatus,
  VerifyResult,
} from "../../operations/operations.ts";
import type { Json } from "./json.ts";
import { restoreOutcome } from "./restore.ts";

export function statusJson(run: RunStatus, now: Date): Json {
  const { progress } = run;
  return {
    backup_id: run.backupId,
    operation: run.operation,
    status: run.status,
    progress_percent: progress?.percent ?? (isFinished(run) ? 100 : null),
    current_phase: progress?.phase ?? null,
    phases_completed: progress?.phasesCompleted ?? [],
    phases_remaining: progress?.phasesRemaining ?? [],
    current_operation: progress?.activity ?? null,
    started_at: run.startedAt,
    ended_at: run.endedAt ?? null,
    elapsed_seconds: elapsedSeconds(run, now),
    estimated_remaining_seconds: progress?.secondsRemaining ?? null,
    bytes_processed: progress?.bytesDone ?? null,
    total_bytes: progress?.bytesTotal ?? null,
    bytes_per_second: progress?.bytesPerSecond ?? null,
    files_processed: progress?.filesDone ?? null,
    total_files: progress?.filesTotal ?? null,
    holder: run.holder ?? null,
    error: run.error ?? null,
  };
}

/** It came to its end, whatever it lacks. */
function isFinished({ status }: RunStatus): boolean {
  return status === "completed" || status === "completed_with_errors" || status === "partial";
}

export function elapsedSeconds({ startedAt, endedAt, progress }: RunStatus, now: Date): number {
  const end = endedAt === undefined ? now : new Date(endedAt);
  return endedAt === undefined && progress !== undefined
    ? Math.round(progress.secondsElapsed)
    : Math.round((end.getTime() - new Date(startedAt).getTime()) / 1000);
}

export function verifyJson({ backups, passed }: VerifyResult): Json {
  return { passed, backups: backups.map(verificationJson) };
}

function verificationJson(backup: BackupVerification): Json {
  const components = Object.entries(backup.components);
  return {
    backup_id: backup.backupId,
    verification_status: verdictOf(backup),
    depth: backup.depth,
    verified_at: backup.verifiedAt,
    verification_duration_seconds: backup.seconds,
    storage: backup.storage,
    checks_performed: backup.checks,
    components_verified: Object.fromEntries(
      components.map(([name, { status, sizeVerified, files }]) => [
        name,
        { status, size_verified: sizeVerified, files_verified: files },
      ]),
    ),
    issues: backup.issues,
    recommendations: backup.recommendations,
    repaired: backup.repaired.map(({ object, storage }) => ({ object, from: storage })),
  };
}

function verdictOf({ passed, unseen }: BackupVerification): string {
  return passed ? "passed" : (unseen ?? "failed");
}

export function restorePlanJson(plan: RestorePlan): Json {
  return {
    backup_id: plan.backup.id,
    backup_created_at: plan.backup.timestamp,
    gap: gapJson(plan),
    lineage: plan.lineage,
    storage: plan.storage,
    in_place: plan.inPlace,
    downtime: plan.downtime,
    estimated_duration_seconds: plan.estimatedSeconds ?? null,
    bytes_to_restore: plan.bytesToRestore,
    bytes_to_fetch: plan.bytesToFetch,
    packs: plan.packs,
    to_thaw: plan.frozen.map(({ thawMs, expectedAt, ...packs }) => ({
      ...packs,
      seconds_at_most: thawMs / 1000,
      expected_at: expectedAt ?? null,
    })),
    sources: plan.sources.map((source) => ({
      name: source.name,
      engine: source.engine,
      component: source.component,
      place: source.place,
      exists: source.exists,
      contents: source.contents,
      overwrites: source.overwrites,
      deletes: source.deletes,
      bytes: source.bytes,
      bytes_to_fetch: source.bytesToFetch,
      entries: source.entries,
      packs: source.packs,
      downtime: source.downtime,
    })),
    refusals: plan.refusals,
    warnings: plan.warnings,
  };
}

function gapJson({ gap }: RestorePlan): Json | null {
  return gap === undefined ? null : { asked: gap.asked, seconds: gap.seconds, exceeds_max_gap: gap.exceeds };
}

export function restoreJson(result: RestoreResult, plan: RestorePlan): Json {
  return {
    restore_id: result.restoreId,
    backup_id: result.backupId,
    status: restoreOutcome(result),
    gap: gapJson(plan),
    duration_seconds: result.seconds,
    bytes_restored: result.bytes,
    sources: result.sources.map(({ name, place, status, checks, error }) => ({
      name,
      place,
      status,
      checks,
      error: error ?? null,
    })),
    warnings: result.warnings,
  };
}

export function replicateJson({ dryRun, storages, warnings }: ReplicateResult): Json {
  return {
    dry_run: dryRun,
    storages: storages.map(({ name, copied, bytes, notCopied, failure, lag }) => ({
      name,
      copied,
      copied_bytes: bytes,
      not_copied: notCopied.map(({ backupId, error }) => ({ backup_id: backupId, error })),
      error: failure ?? null,
      lag: { backups: lag.backups, bytes: lag.bytes, oldest: lag.oldest ?? null },
    })),
    warnings,
  };
}
