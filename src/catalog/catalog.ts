import type { BackupId, BackupMetadata, BackupNotes, BackupStatus, VerificationDepth } from "../domain/backup.ts";
import type { RestoredPlace, UnfinishedRestore } from "../domain/unfinished-restore.ts";
import { BackupctlError } from "../errors.ts";
import type { ScheduleLog } from "./schedule-log.ts";

export type * from "./schedule-log.ts";

/** The file, or a row in it, is not what this program wrote; every read can throw it. */
export class DamagedCatalogError extends BackupctlError {
  constructor(message: string, cause?: unknown) {
    super("CATALOG_FAILED", message, {
      hint: "Run `backupctl catalog rebuild`: the damaged file is set aside, and the backups in storage are not affected.",
      cause,
    });
  }
}

/**
 * The catalog port: this host's cache of what the storages hold, plus its own history (runs, restores, verifications, events).
 *
 * It may be lost or damaged at any time: `catalog rebuild` makes backups, copies, notes and proven points anew from the storages.
 * Every write is one transaction. A damaged file is set aside (`catalog.db.damaged-<time>`) and an empty catalog opened, with a warning.
 */
export interface Catalog {
  readonly schedules: ScheduleLog;

  /** The repository this catalog belongs to; `undefined` until the first write says it. */
  repositoryId(): string | undefined;
  bindRepository(repositoryId: string): void;

  /** A run begins: a row `running` with what is known now. */
  begin(run: NewRun): void;
  /** The commit is in storage: replaces the row by the metadata. `keysSha256` is of its keys object, if it has one. */
  complete(metadata: BackupMetadata, copies: readonly CopyRecord[], keysSha256?: string): void;
  /** The run ended without a commit. */
  fail(id: BackupId, error: { readonly code: string; readonly message: string }, at: string): void;
  /** Inserts or replaces a backup found in storage (rebuild). `trusted`: its mac verified. */
  restoreFromStorage(found: FoundBackup): void;
  /** Inserts a backup that lies in storage and can't be read, or makes an uncommitted row such a one. */
  restoreUnreadable(found: UnreadableBackup): void;
  setStatus(id: BackupId, status: BackupStatus): void;
  setNotes(id: BackupId, notes: BackupNotes): void;
  setCopy(copy: CopyRecord): void;
  /** That storage has the backup no longer, and is not behind because of it. */
  removeCopy(id: BackupId, storage: string): void;
  /** The row and everything below it goes, but for unfinished restores; what was deleted stays in `events`. */
  remove(id: BackupId): void;

  get(id: BackupId): CatalogBackup | undefined;
  /** All whose id starts with `prefix` (at least 4 hex digits), newest first. */
  findByPrefix(prefix: string): readonly CatalogBackup[];
  list(filter: BackupFilter): { readonly backups: readonly CatalogBackup[]; readonly total: number };
  childrenOf(id: BackupId): readonly CatalogBackup[];
  lastCommitOfHost(host: string): BackupId | undefined;

  addVerification(record: VerificationEvent): void;
  addRestore(record: RestoreEvent): void;
  /** Those that are said to run, or are mixed; oldest first. Who knows that none can be running knows that these died. */
  unfinishedRestores(): readonly RecordedRestore[];
  /** How far a restore that runs is, or of which places it is still to be said how it left them; of none: it failed. */
  setPlaces(restoreId: string, places: readonly RestoredPlace[]): void;
  restoresOf(id: BackupId): { readonly count: number; readonly last: string | undefined };
  /** Throughput history for estimates, newest first. */
  recentDurations(filter: {
    readonly type?: string;
    readonly mode?: string;
    readonly operation: "create" | "restore";
  }): readonly {
    readonly bytes: number;
    readonly seconds: number;
  }[];
  addEvent(event: CatalogEvent): void;
  events(filter: { readonly backupId?: BackupId; readonly limit?: number }): readonly CatalogEvent[];

  /** The SHA-256 of the parent's root and index as this host's run recorded them; caches are used only if they match. */
  setIndexCache(record: IndexCacheRecord): void;
  indexCache(backupId: BackupId, source: string): IndexCacheRecord | undefined;

  /** The writes of `work` are one transaction: a kill leaves all of them or none. */
  together(work: () => void): void;
  close(): void;
}

export interface NewRun {
  readonly id: BackupId;
  readonly type: string;
  readonly mode: string;
  readonly category: string;
  readonly timestamp: string;
  readonly host: string;
  readonly createdBy: string;
  readonly storagePath: string;
  readonly parentId: BackupId | undefined;
  readonly pid: number;
  readonly tags: readonly string[];
  readonly description: string | undefined;
}

export interface CopyRecord {
  readonly backupId: BackupId;
  readonly storage: string;
  readonly state: "complete" | "pending" | "damaged" | "missing";
  readonly at: string;
}

export interface FoundBackup {
  readonly metadata: BackupMetadata;
  /** False when no key was at hand, or the mac did not verify: shown as `unverified`, never a parent, never `latest`. */
  readonly trusted: boolean;
  readonly notes: BackupNotes;
  readonly copies: readonly CopyRecord[];
  /** Of the keys object that opened it; `undefined` keeps what was known. */
  readonly keysSha256?: string | undefined;
}

/** A backup of which only the place is known: its metadata.json is damaged, not authentic or missing. */
export interface UnreadableBackup {
  /** The one that it was made with, where anything says it; else one made up from its place. */
  readonly id: BackupId;
  readonly storagePath: string;
  readonly error: { readonly code: string; readonly message: string };
  /** What nobody proves can keep it. */
  readonly notes: BackupNotes;
  readonly copies: readonly CopyRecord[];
}

/** What a list shows of a backup's metadata. */
export interface MetadataOutline
  extends Pick<
    BackupMetadata,
    "duration_seconds" | "size" | "stored_size" | "encrypted" | "verified" | "retention_until"
  > {
  readonly components: readonly string[];
  /** How many, of the run and of its sources. */
  readonly warnings: number;
}

export interface CatalogBackup {
  readonly id: BackupId;
  readonly type: string;
  readonly mode: string;
  readonly category: string;
  readonly status: BackupStatus;
  readonly timestamp: string;
  readonly completedAt: string | undefined;
  readonly host: string;
  readonly createdBy: string;
  readonly storagePath: string;
  readonly parentId: BackupId | undefined;
  readonly tags: readonly string[];
  readonly description: string | undefined;
  readonly pid: number | undefined;
  readonly error: { readonly code: string; readonly message: string } | undefined;
  readonly trusted: boolean;
  /** Of the keys object that it was sealed with, or that opened it last: other bytes are damage, and no wrong key. */
  readonly keysSha256: string | undefined;
  readonly notes: BackupNotes;
  readonly copies: readonly CopyRecord[];
  readonly committed: boolean;
  /** Present once the backup is committed; read when it is asked for. */
  readonly metadata: BackupMetadata | undefined;
  /** Of the metadata, in a fraction of the time that all of it takes. */
  readonly outline: MetadataOutline | undefined;
}

export interface BackupFilter {
  readonly type?: string;
  readonly mode?: string;
  readonly status?: readonly string[];
  readonly category?: string;
  /** ISO times, inclusive from, exclusive to. */
  readonly from?: string;
  readonly to?: string;
  readonly tag?: string;
  /** Has a source or component of this name. */
  readonly source?: string;
  readonly component?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly order?: "newest" | "oldest";
}

export interface VerificationEvent {
  readonly backupId: BackupId;
  readonly at: string;
  readonly depth: VerificationDepth;
  readonly passed: boolean;
  readonly storage: string;
  readonly seconds: number;
  readonly issues: readonly string[];
}

export interface RestoreEvent extends RecordedRestore {
  readonly backupId: BackupId;
  readonly bytes: number;
  readonly seconds: number;
}

export interface RecordedRestore extends UnfinishedRestore {
  readonly id: string;
}

export interface CatalogEvent {
  readonly at: string;
  readonly action: string;
  readonly user: string;
  readonly backupId?: BackupId;
  readonly status: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface IndexCacheRecord {
  readonly backupId: BackupId;
  readonly source: string;
  readonly rootSha256: string;
  readonly indexSha256: string;
}
