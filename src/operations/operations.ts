import type { BackupId, VerificationDepth } from "../domain/backup.ts";
import type { FiniteDuration } from "../domain/duration.ts";
import type { ErrorCode } from "../errors.ts";
import type { BackupDetails, BackupSummary, ListRequest, ListResult, RunStatus } from "./backup-views.ts";
import type { CleanupPlan, CleanupRequest, CleanupResult, CleanupSimulation } from "./cleanup/cleanup-views.ts";
import type { DeletePlan, DeleteRequest, DeleteResult } from "./delete/delete-views.ts";
import type { ReplicateRequest, ReplicateResult } from "./replicate/replicate-views.ts";
import type {
  ScheduleDaemonRequest,
  ScheduledRun,
  ScheduleInstallation,
  ScheduleInstallRequest,
  ScheduleRunRequest,
  ScheduleRunResult,
  ScheduleSummary,
} from "./schedules/schedule-views.ts";
import type { StorageCheck, StorageCheckRequest, StorageSummary } from "./storages/storage-views.ts";

export type * from "./backup-views.ts";
export type * from "./cleanup/cleanup-views.ts";
export type * from "./delete/delete-views.ts";
export type * from "./replicate/replicate-views.ts";
export type * from "./schedules/schedule-views.ts";
export type * from "./storages/storage-views.ts";

/**
 * The program's inbound port: what the command line, and later the server, can ask of it. Every member is one use case in a file
 * of its own here; it does the work and returns data, and throws `BackupctlError` for everything expected. Nothing here prints.
 */
export interface Operations {
  init(request: InitRequest): Promise<InitResult>;
  /** Plan of a create: what would be made, why in this mode, how big. `create --dry-run` shows it, `create` announces it. */
  planCreate(request: CreateRequest): Promise<CreatePlan>;
  create(request: CreateRequest): Promise<CreateResult>;
  list(request: ListRequest): Promise<ListResult>;
  show(reference: string): Promise<BackupDetails>;
  status(reference: string | undefined): Promise<RunStatus>;
  verify(request: VerifyRequest): Promise<VerifyResult>;
  planDelete(request: DeleteRequest): Promise<DeletePlan>;
  /** Deletes exactly what this plan lists. */
  delete(request: DeleteRequest, plan: DeletePlan): Promise<DeleteResult>;
  /** What stays in each storage and what goes, with the reasons. */
  planCleanup(): Promise<CleanupPlan>;
  cleanup(request: CleanupRequest): Promise<CleanupResult>;
  /** How the storages would fill in that time, by the schedules and cleanups of the configuration. */
  simulateCleanup(lengthMs: number): Promise<CleanupSimulation>;
  download(request: DownloadRequest): Promise<DownloadResult>;
  planRestore(request: RestoreRequest): Promise<RestorePlan>;
  /** Applies exactly this plan. */
  restore(request: RestoreRequest, plan: RestorePlan): Promise<RestoreResult>;
  replicate(request: ReplicateRequest): Promise<ReplicateResult>;
  hold(reference: string, reason: string): Promise<BackupSummary>;
  unhold(reference: string): Promise<BackupSummary>;
  rebuildCatalog(): Promise<RebuildResult>;
  listStorages(): Promise<readonly StorageSummary[]>;
  /** Tries with real requests what a backup asks of a storage. */
  checkStorage(request: StorageCheckRequest): Promise<StorageCheck>;
  listSchedules(): Promise<readonly ScheduleSummary[]>;
  /** Runs what a schedule says; recorded, whatever comes of it. */
  runSchedule(request: ScheduleRunRequest): Promise<ScheduleRunResult>;
  /** Runs schedules as they are due, until it is ended. */
  serveSchedules(request: ScheduleDaemonRequest): Promise<void>;
  installSchedules(request: ScheduleInstallRequest): Promise<ScheduleInstallation>;
  uninstallSchedules(request: Omit<ScheduleInstallRequest, "print">): Promise<ScheduleInstallation>;
  validateConfig(): Promise<ConfigReport>;
  close(): Promise<void>;
}

/** How far a long operation is. Called often; the receiver throttles. */
export interface Progress {
  readonly phase: string;
  readonly phasesCompleted: readonly string[];
  readonly phasesRemaining: readonly string[];
  readonly percent: number | undefined;
  readonly bytesDone: number;
  readonly bytesTotal: number | undefined;
  readonly filesDone: number;
  readonly filesTotal: number | undefined;
  readonly bytesPerSecond: number | undefined;
  readonly secondsElapsed: number;
  readonly secondsRemaining: number | undefined;
  readonly activity: string | undefined;
}

export type OnProgress = (progress: Progress) => void;

export interface InitRequest {
  /** Where the config is written; undefined: `backup.config.yaml` in the working directory. */
  readonly configPath: string | undefined;
  /** Path of the local storage in the written config. */
  readonly storagePath: string | undefined;
}

export interface InitResult {
  readonly configPath: string | undefined;
  readonly configWritten: boolean;
  readonly keyPath: string | undefined;
  readonly keyWritten: boolean;
  readonly storages: readonly { readonly name: string; readonly address: string; readonly created: boolean }[];
  readonly repositoryId: string;
}

export interface CreateRequest {
  readonly type?: string | undefined;
  readonly mode?: string | undefined;
  readonly components: readonly string[];
  readonly sources: readonly string[];
  readonly categories: readonly string[];
  readonly tables: readonly string[];
  /** `--class`. */
  readonly retentionClass?: string | undefined;
  readonly ifChanged: boolean;
  readonly encrypt?: boolean | undefined;
  readonly compress?: boolean | undefined;
  readonly compressionLevel?: number | undefined;
  /** `false`: `--no-verify`; `full`: read everything back. */
  readonly verify?: boolean | "full" | undefined;
  readonly manual: boolean;
  readonly description?: string | undefined;
  readonly tags: readonly string[];
  readonly retentionDays?: number | undefined;
  /** In place of `chain.full_every`. */
  readonly fullEvery?: FiniteDuration | undefined;
  /** That of a schedule which makes it. */
  readonly run?: ScheduledRun | undefined;
  readonly storages: readonly string[];
  readonly lockWaitMs: number;
  readonly onProgress?: OnProgress | undefined;
  /** Called once, when the plan is made and before anything is read. */
  readonly onPlan?: ((plan: CreatePlan) => void) | undefined;
}

export interface CreatePlan {
  readonly type: string;
  readonly mode: string;
  readonly requestedMode: string;
  /** Why the mode is not the one asked for. */
  readonly modeReason: string | undefined;
  readonly category: string;
  readonly parentId: BackupId | undefined;
  readonly sources: readonly {
    readonly name: string;
    readonly engine: string;
    readonly component: string;
    readonly estimatedBytes: number;
  }[];
  readonly storages: readonly string[];
  readonly encrypted: boolean;
  readonly compression: string;
  readonly estimatedBytes: number;
  /** True where an engine could only guess. */
  readonly uncertain: boolean;
  readonly estimatedSeconds: number;
}

export interface CreateResult {
  /** False after `--if-changed` found nothing new. */
  readonly created: boolean;
  readonly backup: BackupSummary | undefined;
  readonly plan: CreatePlan;
  readonly sources: readonly SourceResult[];
  /** Where no backup was made: of the last one. */
  readonly storages: readonly { readonly name: string; readonly state: string }[];
  readonly warnings: readonly string[];
}

export interface SourceResult {
  readonly name: string;
  readonly status: "completed" | "completed_with_errors" | "failed";
  readonly sizeBytes: number;
  readonly newBytes: number;
  readonly storedBytes: number;
  readonly seconds: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly unreadable: readonly string[];
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint?: string } | undefined;
}

export interface VerifyRequest {
  /** An id, a unique prefix, `latest`; or one of the two below. */
  readonly reference?: string | undefined;
  /** `--last 24h` in milliseconds. */
  readonly lastMs?: number | undefined;
  readonly all: boolean;
  readonly deep: boolean;
  /** Check sizes and metadata only; the default reads everything. */
  readonly quick: boolean;
  readonly components: readonly string[];
  readonly storage?: string | undefined;
  /** Replace what is damaged by what another copy has. */
  readonly repair?: boolean | undefined;
  readonly allowUnencrypted?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export const CHECKS = [
  "checksum_validation",
  "file_integrity",
  "encryption_validation",
  "compression_validation",
  "metadata_validation",
  "component_completeness",
  "restore_comparison",
] as const;
export type CheckName = (typeof CHECKS)[number];
export type CheckState = "passed" | "failed" | "skipped";

export interface RepairedObject {
  /** Its key. */
  readonly object: string;
  /** The name of the storage that it was taken from. */
  readonly storage: string;
}

export interface BackupVerification {
  readonly backupId: BackupId;
  readonly passed: boolean;
  /** Why nothing was looked at, which is no damage: that storage has no copy, can't be had, or has to thaw it, or no configured key opens it. */
  readonly unseen?: "pending" | "away" | "locked" | "cold" | undefined;
  readonly depth: VerificationDepth;
  readonly verifiedAt: string;
  readonly seconds: number;
  readonly storage: string;
  readonly checks: Readonly<Record<CheckName, CheckState>>;
  readonly components: Readonly<
    Record<string, { readonly status: CheckState; readonly sizeVerified: number; readonly files: number }>
  >;
  /** Each names the object and the source. */
  readonly issues: readonly string[];
  readonly recommendations: readonly string[];
  /** What was damaged or missing, and was replaced before these checks. */
  readonly repaired: readonly RepairedObject[];
}

export interface VerifyResult {
  /** Of a backup whose copy was damaged, or not there yet, several: one for each copy that was looked at. */
  readonly backups: readonly BackupVerification[];
  readonly passed: boolean;
}

export interface DownloadRequest {
  readonly reference: string;
  readonly components: readonly string[];
  readonly sources: readonly string[];
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** A folder; undefined: `write` below. */
  readonly to?: string | undefined;
  /** Standard output, for exactly one file. */
  readonly write?: ((bytes: Uint8Array) => Promise<void>) | undefined;
  readonly overwrite: boolean;
  readonly allowUnencrypted?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface DownloadResult {
  readonly backupId: BackupId;
  readonly files: readonly { readonly source: string; readonly path: string; readonly sizeBytes: number }[];
  readonly warnings: readonly string[];
}

export interface RestoreRequest {
  readonly reference?: string | undefined;
  readonly latest: boolean;
  readonly type?: string | undefined;
  readonly components: readonly string[];
  readonly sources: readonly string[];
  readonly timestamp?: string | undefined;
  readonly maxGapMs?: number | undefined;
  readonly to?: string | undefined;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly target?: string | undefined;
  readonly dropExisting: boolean;
  readonly overwrite: boolean;
  readonly delete: boolean;
  readonly skipDamaged: boolean;
  readonly allowUnencrypted?: string | undefined;
  readonly lockWaitMs: number;
  readonly onProgress?: OnProgress | undefined;
}

export interface RestorePlan {
  readonly backup: BackupSummary;
  /** With `--timestamp`: how much older the backup is than the asked time, and whether that is more than allowed. */
  readonly gap: { readonly seconds: number; readonly exceeds: boolean; readonly asked: string } | undefined;
  readonly lineage: readonly BackupId[];
  readonly storage: string;
  readonly sources: readonly RestoreSourcePlan[];
  readonly bytesToRestore: number;
  readonly bytesToFetch: number;
  readonly packs: number;
  readonly estimatedSeconds: number | undefined;
  /** What has to be thawed before it can be read: `restore` asks for it and ends, and goes on when it is called again then. */
  readonly frozen: readonly FrozenPacks[];
  readonly downtime: boolean;
  /** What stands against it: each must be lifted by its flag before `restore` goes on. */
  readonly refusals: readonly {
    readonly code: "TARGET_NOT_EMPTY" | "USAGE" | "RESTORE_FAILED";
    readonly message: string;
    readonly hint: string;
  }[];
  /** True without `--to` and `--target`: it goes to the sources' own places. */
  readonly inPlace: boolean;
  readonly warnings: readonly string[];
}

/** Packs that lie cold in one storage, and that no other copy can give now. */
export interface FrozenPacks {
  readonly storage: string;
  readonly packs: number;
  readonly bytes: number;
  /** How many of them were asked for already. */
  readonly asked: number;
  /** How long a thaw takes at most from when it is asked for. */
  readonly thawMs: number;
  /** ISO 8601. By when they can be read, where this host has asked for all of them. */
  readonly expectedAt?: string | undefined;
}

export interface RestoreSourcePlan {
  readonly name: string;
  readonly engine: string;
  readonly component: string;
  /** Where it goes, for people. */
  readonly place: string;
  readonly exists: boolean;
  readonly contents: readonly string[];
  readonly overwrites: readonly string[];
  readonly bytes: number;
  readonly bytesToFetch: number;
  readonly entries: number;
  readonly packs: number;
  /** With `--delete`: how many existing entries go. */
  readonly deletes: number;
  readonly downtime: boolean;
}

export interface RestoreResult {
  readonly restoreId: string;
  readonly backupId: BackupId;
  readonly seconds: number;
  readonly bytes: number;
  readonly sources: readonly {
    readonly name: string;
    readonly place: string;
    readonly status: "completed" | "failed" | "skipped";
    readonly checks: readonly { readonly name: string; readonly passed: boolean; readonly detail: string }[];
    readonly error: { readonly code: string; readonly message: string; readonly hint?: string } | undefined;
  }[];
  readonly warnings: readonly string[];
}

export interface RebuildResult {
  readonly found: number;
  readonly unverified: number;
  readonly unfinished: number;
  /** What can't be believed or read, a sentence each. */
  readonly damaged: readonly string[];
  readonly seconds: number;
}

export interface ConfigReport {
  readonly origin: string;
  readonly sources: number;
  readonly storages: number;
  readonly warnings: readonly string[];
}
