import type { CleanupPlan, CleanupResult, CleanupSimulation } from "../../operations/operations.ts";
import type { Json } from "./json.ts";

export function cleanupPlanJson({ storages, brakes }: CleanupPlan): Json {
  return {
    refused_unless_forced: brakes.map(({ kind, text }) => ({ kind, text })),
    storages: storages.map(({ name, verdicts, unasked }) => ({
      name,
      locks_unknown: unasked ?? null,
      removes: verdicts.filter(({ keep }) => !keep).length,
      frees_bytes: verdicts.reduce((sum, { keep, bytes }) => (keep ? sum : sum + bytes), 0),
      backups: verdicts.map(({ backup, keep, reasons, bytes }) => ({
        id: backup.id,
        timestamp: backup.timestamp,
        type: backup.type,
        mode: backup.mode,
        category: backup.category,
        action: keep ? "keep" : "remove",
        reasons: reasons.map(({ kind, text }) => ({ kind, text })),
        bytes,
      })),
    })),
  };
}

export function cleanupJson({ plan, archived, frozen, storages }: CleanupResult): Json {
  return {
    archived: archived.map(({ backupId, to }) => ({ backup_id: backupId, storage: to })),
    frozen: frozen.map(({ backupId, to }) => ({ backup_id: backupId, storage: to })),
    storages: storages.map(({ name, leftOut, removed, bytes, locked, notRemoved, failure }) => ({
      name,
      left_out: leftOut,
      removed,
      freed_bytes: bytes,
      locked: locked.map(({ backupId, until }) => ({ backup_id: backupId, until: until.toISOString() })),
      not_removed: notRemoved.map(({ backupId, error }) => ({ backup_id: backupId, error })),
      error: failure ?? null,
    })),
    plan: cleanupPlanJson(plan),
  };
}

export function simulationJson({ schedules, cleanups, locksUnknown, sizesUnknown, days }: CleanupSimulation): Json {
  return {
    schedules,
    cleanups,
    locks_unknown: locksUnknown,
    sizes_unknown: sizesUnknown,
    days: days.map(({ at, storages, refused }) => ({
      at: at.toISOString(),
      refused: refused === undefined ? null : { since: refused.since.toISOString(), ...refused.brake },
      storages: storages.map(({ name, backups, full, bytes, removed, oldest }) => ({
        ...{ name, backups, full, bytes, removed, oldest: oldest ?? null },
      })),
    })),
  };
}
