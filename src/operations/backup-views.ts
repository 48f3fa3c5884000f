import type { BackupId, BackupMetadata, BackupNotes, BackupStatus, VerificationDepth } from "../domain/backup.ts";
import type { Progress } from "./operations.ts";

/** A row of `list`. */
export interface BackupSummary {
  readonly id: BackupId;
  readonly type: string;
  readonly mode: string;
  readonly category: string;
  readonly status: BackupStatus;
  /** False: found in storage, but its mac could not be verified. */
  readonly trusted: boolean;
  readonly timestamp: string;
  readonly completedAt: string | undefined;
  readonly durationSeconds: number | undefined;
  readonly sizeBytes: number | undefined;
  readonly storedBytes: number | undefined;
  readonly encrypted: boolean | undefined;
  readonly verified: boolean;
  readonly parentId: BackupId | undefined;
  readonly retentionUntil: string | undefined;
  readonly hold: string | undefined;
  readonly tags: readonly string[];
  readonly description: string | undefined;
  readonly host: string;
  readonly components: readonly string[];
  readonly warnings: number;
  /** Storages whose copy is damaged or gone. */
  readonly damagedIn: readonly string[];
  /** Why a run failed, or why the backup can't be read. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export interface ListRequest {
  readonly type?: string | undefined;
  readonly mode?: string | undefined;
  readonly status?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly tag?: string | undefined;
  readonly component?: string | undefined;
  readonly limit: number;
  readonly offset: number;
}

export interface ListResult {
  readonly backups: readonly BackupSummary[];
  readonly total: number;
  readonly offset: number;
  readonly limit: number;
}

/** `show`: everything that is known of one backup. */
export interface BackupDetails extends BackupSummary {
  readonly metadata: BackupMetadata | undefined;
  readonly notes: BackupNotes;
  readonly compressionRatio: number | undefined;
  readonly location: string;
  readonly copies: readonly { readonly storage: string; readonly state: string; readonly at: string }[];
  readonly verification:
    | { readonly at: string; readonly depth: VerificationDepth; readonly passed: boolean }
    | undefined;
  readonly restoreCount: number;
  readonly lastRestore: string | undefined;
  readonly children: readonly BackupId[];
}

/** Fields of seed 4's status, for a running, dead or finished run. */
export interface RunStatus {
  readonly backupId: BackupId;
  readonly operation: string;
  readonly status: BackupStatus | "interrupted";
  readonly progress: Progress | undefined;
  readonly startedAt: string;
  readonly endedAt: string | undefined;
  readonly holder: { readonly pid: number; readonly host: string; readonly alive: boolean } | undefined;
  readonly error: { readonly code: string; readonly message: string } | undefined;
}
