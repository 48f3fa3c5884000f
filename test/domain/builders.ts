import type { BackupId, BackupMetadata, Category, Mode, SourceMetadata } from "../../src/domain/backup.ts";
import { isBackupId } from "../../src/domain/backup.ts";
import type { KnownBackup } from "../../src/domain/known-backup.ts";
import { backupDirectory } from "../../src/domain/object-names.ts";

export const REPOSITORY_ID = "0b6f1c6e-58f0-4c39-9a55-3e9d2f1c8a77";

/** `backupId(7)` is `00000007-0000-4000-8000-000000000000`. */
export function backupId(number: number): BackupId {
  const text = `${number.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;
  if (!isBackupId(text)) throw new Error(text);
  return text;
}

export interface BackupSketch {
  readonly id: BackupId;
  readonly at?: string;
  readonly type?: string;
  readonly mode?: Mode;
  readonly category?: Category;
  readonly parent?: BackupMetadata;
  readonly sources?: readonly SourceMetadata[];
  readonly overrides?: Partial<BackupMetadata>;
}

export function sourceOf(name: string, overrides: Partial<SourceMetadata> = {}): SourceMetadata {
  return {
    name,
    engine: "postgres",
    kind: "pgdump",
    component: "database",
    status: "completed",
    size: 1000,
    new_size: 1000,
    stored_size: 400,
    counts: { tables: 3 },
    versions: { pg_dump: "16.4" },
    duration_seconds: 1.5,
    unreadable: 0,
    warnings: [],
    data: { artifact_id: "0123456789abcdef0123456789abcdef", name: `${name}.pgdump.zst.enc`, packs: [400] },
    ...overrides,
  };
}

export function metadataOf(sketch: BackupSketch): BackupMetadata {
  const { id, at = "2026-01-11T02:00:00.000Z", type = "database", mode = "full", category = "daily", parent } = sketch;
  const path = backupDirectory({ type, category, mode, timestamp: at, id });
  const ancestors = (parent?.lineage ?? []).map((member) => ({
    ...member,
    checksum: member.checksum ?? parent?.checksum ?? "",
  }));
  return {
    version: 1,
    id,
    repository_id: REPOSITORY_ID,
    type,
    mode,
    category,
    timestamp: at,
    completed_at: new Date(new Date(at).getTime() + 60_000).toISOString(),
    duration_seconds: 60,
    size: 1000,
    compressed_size: 400,
    stored_size: 700,
    encrypted: true,
    encryption_algorithm: "AES-256-GCM",
    key_id: "00112233445566778899aabbccddeeff",
    compressed: true,
    compression: { algorithm: "zstd", level: 3 },
    checksum: `sha256:${id.slice(0, 8).padStart(64, "0")}`,
    parent_id: parent?.id ?? null,
    previous_id: null,
    lineage: [...ancestors, { id, path }],
    storage_path: path,
    status: "completed",
    created_by: "root",
    host: "web-1",
    software_version: "0.1.0",
    tags: [],
    description: null,
    retention_until: null,
    components: { database: { size: 1000, stored_size: 400, sources: ["app"], counts: { tables: 3 } } },
    sources: sketch.sources ?? [sourceOf("app")],
    objects: { count: 3, bytes: 700 },
    verified: "blocks",
    warnings: [],
    ...sketch.overrides,
  };
}

export function knownBackup(metadata: BackupMetadata, overrides: Partial<KnownBackup> = {}): KnownBackup {
  return {
    id: metadata.id,
    type: metadata.type,
    mode: metadata.mode,
    category: metadata.category,
    status: metadata.status,
    timestamp: metadata.timestamp,
    completedAt: metadata.completed_at,
    parentId: metadata.parent_id ?? undefined,
    trusted: true,
    notes: {},
    copies: [{ storage: "main", state: "complete" }],
    committed: true,
    metadata,
    ...overrides,
  };
}

/** A backup that is being made, or that failed: nothing was committed. */
export function uncommitted(id: BackupId, overrides: Partial<KnownBackup> = {}): KnownBackup {
  return {
    id,
    type: "database",
    mode: "full",
    category: "daily",
    status: "failed",
    timestamp: "2026-01-11T02:00:00.000Z",
    completedAt: undefined,
    parentId: undefined,
    trusted: false,
    notes: {},
    copies: [],
    committed: false,
    metadata: undefined,
    ...overrides,
  };
}

/** A backup that a decision may pass by, but whose metadata it must not need: reading that of thousands takes seconds. */
export function unread(metadata: BackupMetadata): KnownBackup {
  const backup = knownBackup(metadata);
  return Object.defineProperty({ ...backup }, "metadata", {
    get: () => {
      throw new Error(`the metadata of ${backup.id} was read`);
    },
  });
}
