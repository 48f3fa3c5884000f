/** The words of the domain as types. See docs/ARCHITECTURE.md for the glossary. */

/** A UUID v4. */
export type BackupId = string & { readonly __brand: "BackupId" };

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export function isBackupId(text: string): text is BackupId {
  return UUID_V4.test(text);
}

/** `full` or the name of one component. */
export type BackupType = string;

export const MODES = ["full", "incremental", "differential"] as const;
export type Mode = (typeof MODES)[number];

/** Retention classes; also a level of the layout in storage. */
export const CATEGORIES = ["incremental", "daily", "weekly", "monthly", "yearly", "snapshots", "manual"] as const;
export type Category = (typeof CATEGORIES)[number];

export const STATUSES = [
  "pending",
  "running",
  "completed",
  "completed_with_errors",
  "partial",
  "failed",
  "deleting",
  "unreadable",
] as const;
export type BackupStatus = (typeof STATUSES)[number];

export type SourceStatus = "completed" | "completed_with_errors" | "failed";

/** What was checked while the backup was made. */
export type VerifiedOnCreate = "none" | "blocks" | "full";

/** One member of a lineage: where a backup lies and the checksum of its packs. `checksum` is absent for the backup itself. */
export interface LineageMember {
  readonly id: BackupId;
  readonly path: string;
  readonly checksum?: string;
}

/** A stored byte stream: the packs `<source>.<kind>.…<number>` of one artifact id. */
export interface StoredArtifact {
  readonly artifact_id: string;
  /** Object name in the backup's directory without the pack number, e.g. `app.pgdump.zst.enc`. */
  readonly name: string;
  /** Size in bytes of each pack, by pack number. Empty when nothing was new. */
  readonly packs: readonly number[];
}

/** One source inside metadata.json. */
export interface SourceMetadata {
  readonly name: string;
  readonly engine: string;
  readonly kind: string;
  readonly component: string;
  readonly category?: string;
  readonly status: SourceStatus;
  readonly error?: { readonly code: string; readonly message: string };
  /** Bytes of the artifact before compression. */
  readonly size: number;
  /** Bytes of its chunks that were new in this backup, before and after compression and sealing. */
  readonly new_size: number;
  readonly stored_size: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly duration_seconds: number;
  readonly unreadable: number;
  /** It holds only the tables that `--table` named, not what the configuration says. */
  readonly narrowed?: true;
  readonly warnings: readonly string[];
  readonly data?: StoredArtifact;
  readonly index?: StoredArtifact;
  readonly root?: StoredArtifact;
}

export interface ComponentMetadata {
  readonly size: number;
  readonly stored_size: number;
  readonly sources: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/** The content of metadata.json without `mac` and `signature`; sizes in bytes, times ISO 8601 UTC. */
export interface BackupMetadata {
  readonly version: 1;
  readonly id: BackupId;
  readonly repository_id: string;
  readonly type: BackupType;
  readonly mode: Mode;
  readonly category: Category;
  readonly timestamp: string;
  readonly completed_at: string;
  readonly duration_seconds: number;
  /** Raw bytes of all artifacts, whether stored in this backup or referenced. */
  readonly size: number;
  /** Raw bytes that were new, after compression and sealing. */
  readonly compressed_size: number;
  /** All bytes of this directory except metadata.json itself. */
  readonly stored_size: number;
  readonly encrypted: boolean;
  readonly encryption_algorithm: "AES-256-GCM" | null;
  readonly key_id: string | null;
  readonly compressed: boolean;
  readonly compression: { readonly algorithm: CompressionAlgorithm; readonly level: number } | null;
  readonly checksum: string;
  readonly parent_id: BackupId | null;
  readonly previous_id: BackupId | null;
  readonly lineage: readonly LineageMember[];
  readonly storage_path: string;
  readonly status: BackupStatus;
  readonly created_by: string;
  readonly host: string;
  readonly software_version: string;
  readonly tags: readonly string[];
  readonly description: string | null;
  readonly retention_until: string | null;
  readonly components: Readonly<Record<string, ComponentMetadata>>;
  readonly sources: readonly SourceMetadata[];
  readonly objects: { readonly count: number; readonly bytes: number };
  readonly verified: VerifiedOnCreate;
  readonly warnings: readonly string[];
}

export const COMPRESSION_ALGORITHMS = ["none", "gzip", "zstd"] as const;
export type CompressionAlgorithm = (typeof COMPRESSION_ALGORITHMS)[number];

/** Facts that change after the commit, as the newest valid notes object says them. Absent: never set. */
export interface BackupNotes {
  readonly hold?: { readonly reason: string; readonly at: string; readonly by: string };
  readonly tags?: readonly string[];
  readonly description?: string;
  readonly retention_until?: string;
  readonly quarantine?: { readonly reason: string; readonly at: string };
  readonly verified?: VerificationRecord;
}

export type VerificationDepth = "quick" | "full" | "deep";

export interface VerificationRecord {
  readonly at: string;
  readonly depth: VerificationDepth;
  readonly passed: boolean;
  readonly host: string;
}
