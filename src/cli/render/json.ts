import { formatBytes } from "../../domain/size.ts";
import type {
  BackupDetails,
  BackupSummary,
  CreatePlan,
  CreateResult,
  DeletePlan,
  DeleteResult,
  DownloadResult,
  InitResult,
  ListResult,
  RebuildResult,
  SourceResult,
} from "../../operations/operations.ts";

/** The documented shapes of --json (docs/cli.md): snake_case, what is unknown is null, a key is never left out. */
export type Json = Readonly<Record<string, unknown>>;

export function summaryJson(backup: BackupSummary): Json {
  return {
    id: backup.id,
    type: backup.type,
    mode: backup.mode,
    category: backup.category,
    status: backup.status,
    trusted: backup.trusted,
    size_bytes: backup.sizeBytes ?? null,
    size_formatted: backup.sizeBytes === undefined ? null : formatBytes(backup.sizeBytes),
    stored_bytes: backup.storedBytes ?? null,
    created_at: backup.timestamp,
    completed_at: backup.completedAt ?? null,
    duration_seconds: backup.durationSeconds ?? null,
    encrypted: backup.encrypted ?? null,
    verified: backup.verified,
    parent_id: backup.parentId ?? null,
    retention_until: backup.retentionUntil ?? null,
    hold: backup.hold ?? null,
    tags: backup.tags,
    description: backup.description ?? null,
    host: backup.host,
    components: backup.components,
    warnings: backup.warnings,
    damaged_in: backup.damagedIn,
    error: backup.error ?? null,
  };
}

export function listJson({ backups, total, limit, offset }: ListResult): Json {
  return {
    backups: backups.map(summaryJson),
    total,
    limit,
    offset,
    page: Math.floor(offset / limit) + 1,
    per_page: limit,
    total_pages: Math.ceil(total / limit),
  };
}

export function detailsJson(backup: BackupDetails): Json {
  const { metadata, notes } = backup;
  const components = Object.entries(metadata?.components ?? {});
  return {
    ...summaryJson(backup),
    warnings: metadata?.warnings ?? [],
    location: backup.location,
    encryption_algorithm: metadata?.encryption_algorithm ?? null,
    key_id: metadata?.key_id ?? null,
    compressed: metadata?.compressed ?? null,
    compression: metadata?.compression ?? null,
    compression_ratio: backup.compressionRatio ?? null,
    checksum: metadata?.checksum ?? null,
    verified_on_create: metadata?.verified ?? null,
    verification_date: backup.verification?.at ?? null,
    verification: backup.verification ?? null,
    components: Object.fromEntries(
      components.map(([name, { size, stored_size, sources, counts }]) => [
        name,
        { size_bytes: size, stored_bytes: stored_size, sources, counts },
      ]),
    ),
    sources: (metadata?.sources ?? []).map((source) => ({
      name: source.name,
      engine: source.engine,
      component: source.component,
      category: source.category ?? null,
      status: source.status,
      error: source.error ?? null,
      size_bytes: source.size,
      new_bytes: source.new_size,
      stored_bytes: source.stored_size,
      counts: source.counts,
      versions: source.versions,
      duration_seconds: source.duration_seconds,
      unreadable: source.unreadable,
      narrowed: source.narrowed ?? false,
      warnings: source.warnings,
    })),
    copies: backup.copies,
    lineage: (metadata?.lineage ?? []).map(({ id }) => id),
    children: backup.children,
    created_by: metadata?.created_by ?? null,
    software_version: metadata?.software_version ?? null,
    repository_id: metadata?.repository_id ?? null,
    quarantine: notes.quarantine ?? null,
    restore_count: backup.restoreCount,
    last_restore_date: backup.lastRestore ?? null,
  };
}

export function createPlanJson(plan: CreatePlan): Json {
  return {
    dry_run: true,
    ...plannedJson(plan),
    storages: plan.storages,
    sources: plan.sources.map(({ name, engine, component, estimatedBytes }) => ({
      name,
      engine,
      component,
      estimated_size_bytes: estimatedBytes,
    })),
  };
}

function plannedJson(plan: CreatePlan): Json {
  return {
    type: plan.type,
    mode: plan.mode,
    requested_mode: plan.requestedMode,
    mode_reason: plan.modeReason ?? null,
    category: plan.category,
    parent_id: plan.parentId ?? null,
    encrypted: plan.encrypted,
    compression: plan.compression,
    estimated_size_bytes: plan.estimatedBytes,
    estimate_uncertain: plan.uncertain,
    estimated_duration_seconds: plan.estimatedSeconds,
  };
}

export function createJson({ created, backup, plan, sources, storages, warnings }: CreateResult): Json {
  return {
    created,
    backup_id: backup?.id ?? null,
    status: backup?.status ?? null,
    ...plannedJson(plan),
    started_at: backup?.timestamp ?? null,
    completed_at: backup?.completedAt ?? null,
    duration_seconds: backup?.durationSeconds ?? null,
    size_bytes: backup?.sizeBytes ?? null,
    stored_bytes: backup?.storedBytes ?? null,
    retention_until: backup?.retentionUntil ?? null,
    verified: backup?.verified ?? null,
    sources: sources.map(sourceJson),
    storages,
    warnings,
  };
}

function sourceJson(source: SourceResult): Json {
  return {
    name: source.name,
    status: source.status,
    size_bytes: source.sizeBytes,
    new_bytes: source.newBytes,
    stored_bytes: source.storedBytes,
    duration_seconds: source.seconds,
    counts: source.counts,
    unreadable: source.unreadable,
    error: source.error ?? null,
  };
}

export function deletePlanJson({ backups, protections, bytesFreed, locked, unasked }: DeletePlan): Json {
  return {
    dry_run: true,
    backups: backups.map(summaryJson),
    protections: protections.map(({ kind, backupId, text, forcible }) => ({
      kind,
      backup_id: backupId,
      text,
      forcible,
    })),
    space_freed_bytes: bytesFreed,
    space_freed_formatted: formatBytes(bytesFreed),
    locked: locked.map(lockedJson),
    locks_unknown: unasked,
  };
}

/** The backup that was named goes last, after all that descend from it. */
export function deleteJson({ deleted, bytesFreed, locked, deletedAt }: DeleteResult): Json {
  return {
    backup_id: deleted.at(-1) ?? null,
    deleted,
    deleted_at: deletedAt,
    space_freed_bytes: bytesFreed,
    space_freed_formatted: formatBytes(bytesFreed),
    locked: locked.map(lockedJson),
  };
}

function lockedJson({ until, ...each }: DeleteResult["locked"][number]): Json {
  return { ...each, until: until.toISOString() };
}

export function downloadJson({ backupId, files, warnings }: DownloadResult): Json {
  return {
    backup_id: backupId,
    files: files.map(({ source, path, sizeBytes }) => ({ source, path, size_bytes: sizeBytes })),
    warnings,
  };
}

export function initJson(result: InitResult): Json {
  return {
    config_path: result.configPath ?? null,
    config_written: result.configWritten,
    key_path: result.keyPath ?? null,
    key_written: result.keyWritten,
    repository_id: result.repositoryId,
    storages: result.storages,
  };
}

export function rebuildJson(result: RebuildResult): Json {
  return {
    found: result.found,
    unverified: result.unverified,
    unfinished: result.unfinished,
    damaged: result.damaged,
    duration_seconds: result.seconds,
  };
}

/** In UTF-16 units, as JSON writes them: tags (U+E0000 to U+E007F) are two. */
const INVISIBLE =
  /[\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;

/** JSON that reads back as the same value and can't reorder or hide text on a terminal. */
export function jsonText(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replace(INVISIBLE, (text) =>
    Array.from({ length: text.length }, (_, i) => escaped(text.charCodeAt(i))).join(""),
  );
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}
