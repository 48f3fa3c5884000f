import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupMetadata } from "../../domain/backup.ts";
import type { BackupDetails, BackupSummary } from "../operations.ts";

/** A row of `list` from what the catalog knows; notes, being newer, win over metadata. */
export function summaryOf(backup: CatalogBackup): BackupSummary {
  const { outline, notes } = backup;
  return {
    id: backup.id,
    type: backup.type,
    mode: backup.mode,
    category: backup.category,
    status: backup.status,
    trusted: backup.trusted,
    timestamp: backup.timestamp,
    completedAt: backup.completedAt,
    durationSeconds: outline?.duration_seconds,
    sizeBytes: outline?.size,
    storedBytes: outline?.stored_size,
    encrypted: outline?.encrypted,
    // What the newest verification said; before there is one, whether its blocks were checked while it was made.
    verified: notes.verified?.passed ?? (outline !== undefined && outline.verified !== "none"),
    parentId: backup.parentId,
    retentionUntil: notes.retention_until ?? outline?.retention_until ?? undefined,
    hold: notes.hold?.reason,
    tags: notes.tags ?? backup.tags,
    description: notes.description ?? backup.description,
    host: backup.host,
    components: outline?.components ?? [],
    warnings: outline?.warnings ?? 0,
    // Of a run that failed nothing should be there.
    damagedIn: backup.copies
      .filter(({ state }) => state === "damaged" || (state === "missing" && backup.status !== "failed"))
      .map(({ storage }) => storage),
    error: backup.error,
  };
}

export function detailsOf(backup: CatalogBackup, catalog: Catalog): BackupDetails {
  const { metadata, notes } = backup;
  const restores = catalog.restoresOf(backup.id);
  return {
    ...summaryOf(backup),
    metadata,
    notes,
    compressionRatio: metadata === undefined ? undefined : compressionRatioOf(metadata),
    location: locationOf(backup),
    copies: backup.copies.map(({ storage, state, at }) => ({ storage, state, at })),
    verification: notes.verified,
    restoreCount: restores.count,
    lastRestore: restores.last,
    children: catalog
      .childrenOf(backup.id)
      .filter(({ committed }) => committed)
      .map(({ id }) => id),
  };
}

/** Of what was new: referenced chunks were compressed by another backup. */
function compressionRatioOf(metadata: BackupMetadata): number | undefined {
  const raw = metadata.sources.reduce((sum, source) => sum + source.new_size, 0);
  return raw === 0 || metadata.compressed_size === 0 ? undefined : raw / metadata.compressed_size;
}

function locationOf({ copies, storagePath }: CatalogBackup): string {
  const first = copies.find(({ state }) => state === "complete") ?? copies[0];
  return first === undefined ? storagePath : `${first.storage}:${storagePath}`;
}
