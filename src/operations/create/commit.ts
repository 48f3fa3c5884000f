import type { Catalog, RecordedRestore } from "../../catalog/catalog.ts";
import type {
  BackupId,
  BackupMetadata,
  BackupStatus,
  ComponentMetadata,
  SourceMetadata,
  VerifiedOnCreate,
} from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { FIRST_KEYS, SHA256SUMS_NAME } from "../../domain/object-names.ts";
import { retentionUntil } from "../../domain/retention-until.ts";
import { unfinishedMark, unsaidAfterBackup } from "../../domain/unfinished-restore.ts";
import { BackupctlError } from "../../errors.ts";
import { metadataKey } from "../../format/data-key.ts";
import { buildKeysObject } from "../../format/keys-object.ts";
import { encodeMetadata } from "../../format/metadata.ts";
import { encodeSha256Sums } from "../../format/sha256sums.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import { findDeletedAncestor } from "../repository/lineage-check.ts";
import type { Repository } from "../repository/repository.ts";
import type { Session } from "../session.ts";
import type { BackupObjects } from "./backup-objects.ts";
import type { PreparedCreate } from "./plan.ts";
import type { SourceOutcome } from "./sources.ts";
import { requireClock } from "./storage-clock.ts";
import { endTrial } from "./trial.ts";

export interface Commit {
  readonly session: Session;
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly prepared: PreparedCreate;
  readonly id: BackupId;
  readonly directory: string;
  readonly objects: BackupObjects;
  readonly outcomes: readonly SourceOutcome[];
  readonly dataKey: Buffer | undefined;
  readonly status: BackupStatus;
  readonly tags: readonly string[];
  readonly description: string | undefined;
  readonly retentionDays: number | undefined;
  readonly warnings: readonly string[];
  /** Restores that died, or failed half-way, of which no backup says so yet. */
  readonly unfinished: readonly RecordedRestore[];
}

/** Everything between the last pack and the catalog's `completed`, in the order that a kill at any line can't hurt. */
export async function commitBackup(commit: Commit): Promise<BackupMetadata> {
  const { objects, catalog, repository, session, dataKey, id } = commit;
  await endTrial(objects);
  const sums = encodeSha256Sums(objects.packSums());
  await objects.put(SHA256SUMS_NAME, sums);
  let keyId: string | null = null;
  let keysSha256: string | undefined;
  if (dataKey !== undefined) {
    const keys = await buildKeysObject({ n: FIRST_KEYS, backupId: id, dataKey, providers: repository.keys });
    await objects.put(keys.name, keys.bytes);
    keyId = keys.keyId;
    keysSha256 = sha256Hex(keys.bytes);
  }
  await objects.requireComplete();
  // Once more: it may be another storage that leads by now.
  await requireClock(objects, SHA256SUMS_NAME, { startedAt: commit.prepared.startedAt, clock: session.clock });
  const metadata = buildMetadata(commit, `sha256:${sha256Hex(sums)}`, keyId);
  const macKey = dataKey === undefined ? undefined : metadataKey(dataKey, id);
  await objects.commit(encodeMetadata(metadata, macKey));
  await requireAncestors(commit);
  const at = session.clock.now().toISOString();
  const whole = new Set(objects.storages.map(({ name }) => name));
  catalog.complete(
    metadata,
    commit.prepared.storages.map((storage) => ({
      backupId: id,
      storage,
      state: whole.has(storage) ? "complete" : "pending",
      at,
    })),
    keysSha256,
  );
  const configured = session.loaded.config.sources.map(({ name }) => name);
  for (const restore of commit.unfinished)
    catalog.setPlaces(restore.id, unsaidAfterBackup(restore, heldBy(commit), configured));
  for (const { artifacts, result } of commit.outcomes) {
    if (artifacts === undefined) continue;
    const { rootSha256, indexSha256 } = artifacts;
    catalog.setIndexCache({ backupId: id, source: result.name, rootSha256, indexSha256 });
  }
  catalog.addEvent({
    at,
    action: "backup:create",
    user: session.user,
    backupId: id,
    status: metadata.status,
    detail: { type: metadata.type, mode: metadata.mode, seconds: metadata.duration_seconds, bytes: metadata.size },
  });
  return metadata;
}

/** Another host may have begun to delete an ancestor meanwhile: it looks after it writes, and so do we. */
async function requireAncestors({ objects, prepared }: Commit): Promise<void> {
  await objects.confirm(async (storage, options) => {
    const gone = await findDeletedAncestor(storage, prepared.decision.lineage, options);
    if (gone === undefined) return undefined;
    return new BackupctlError("BACKUP_FAILED", `backup ${gone.id}, which this one builds on, was deleted meanwhile`, {
      hint: "Run backupctl create again: it will make a full backup.",
      retryable: true,
    });
  });
}

function buildMetadata(commit: Commit, checksum: string, keyId: string | null): BackupMetadata {
  const { session, prepared, objects, outcomes, catalog, repository } = commit;
  const { selection, decision, category, startedAt, compression } = prepared;
  const completedAt = session.clock.now();
  const sources = outcomes.map(({ metadata }) => metadata);
  const compressed = compression.algorithm !== "none";
  return {
    version: 1,
    id: commit.id,
    repository_id: repository.id,
    type: selection.type,
    mode: decision.mode,
    category,
    timestamp: startedAt.toISOString(),
    completed_at: completedAt.toISOString(),
    duration_seconds: Math.max(0, completedAt.getTime() - startedAt.getTime()) / 1000,
    size: sum(sources.map(({ size }) => size)),
    compressed_size: sum(sources.map(({ stored_size }) => stored_size)),
    stored_size: objects.totalBytes,
    encrypted: prepared.encrypt,
    encryption_algorithm: prepared.encrypt ? "AES-256-GCM" : null,
    key_id: keyId,
    compressed,
    compression: compressed ? { algorithm: compression.algorithm, level: compression.level } : null,
    checksum,
    parent_id: decision.parent?.id ?? null,
    previous_id: catalog.lastCommitOfHost(session.host) ?? null,
    lineage: [...decision.lineage, { id: commit.id, path: commit.directory }],
    storage_path: commit.directory,
    status: commit.status,
    created_by: session.user,
    host: session.host,
    software_version: session.softwareVersion,
    tags: commit.tags,
    description: commit.description ?? null,
    retention_until: retentionUntil({
      category,
      durations: session.loaded.config.retention,
      retentionDays: commit.retentionDays,
      from: startedAt,
    }),
    components: componentsOf(sources),
    sources,
    objects: { count: objects.count, bytes: objects.totalBytes },
    verified: verifiedOnCreate(prepared.verify),
    warnings: [
      ...(commit.warnings.length === 0 ? [] : [`${count(commit.warnings.length, "warning")}, said when it was made`]),
      ...commit.unfinished.flatMap((restore) => unfinishedMark(restore, heldBy(commit)) ?? []),
    ],
  };
}

/** The names of the sources that the backup has. */
function heldBy({ outcomes }: Commit): readonly string[] {
  return outcomes.filter(({ artifacts }) => artifacts !== undefined).map(({ result }) => result.name);
}

function verifiedOnCreate(verify: boolean | "full"): VerifiedOnCreate {
  if (verify === "full") return "full";
  return verify ? "blocks" : "none";
}

function componentsOf(sources: readonly SourceMetadata[]): Readonly<Record<string, ComponentMetadata>> {
  const components: Record<string, ComponentMetadata> = {};
  for (const source of sources) {
    const before = components[source.component] ?? { size: 0, stored_size: 0, sources: [], counts: {} };
    components[source.component] = {
      size: before.size + source.size,
      stored_size: before.stored_size + source.stored_size,
      sources: [...before.sources, source.name],
      counts: addCounts(before.counts, source.counts),
    };
  }
  return components;
}

function addCounts(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const total: Record<string, number> = { ...a };
  for (const [name, count] of Object.entries(b)) total[name] = (total[name] ?? 0) + count;
  return total;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
