import type { BackupId } from "../../domain/backup.ts";
import type { ProtectionKind } from "../../domain/deletion.ts";
import type { ErrorCode } from "../../errors.ts";
import type { BackupSummary } from "../backup-views.ts";

export interface DeleteRequest {
  readonly reference: string;
  readonly withDescendants: boolean;
  readonly force: boolean;
  readonly reason?: string | undefined;
  readonly lockWaitMs: number;
}

export interface DeletePlan {
  /** Newest first, as they will go. */
  readonly backups: readonly BackupSummary[];
  readonly protections: readonly {
    readonly kind: ProtectionKind;
    readonly backupId: BackupId;
    readonly text: string;
    readonly forcible: boolean;
  }[];
  readonly bytesFreed: number;
  /** What would stay as old versions that nobody may remove yet; not among `bytesFreed`. */
  readonly locked: readonly LockedVersions[];
  /** The storages that could not be asked whether anything is locked, and why. */
  readonly unasked: readonly { readonly storage: string; readonly code: ErrorCode; readonly message: string }[];
}

interface LockedVersions {
  readonly storage: string;
  readonly bytes: number;
  readonly until: Date;
}

export interface DeleteResult {
  readonly deleted: readonly BackupId[];
  readonly bytesFreed: number;
  /** What a storage keeps of them as old versions that nobody may remove yet; not among `bytesFreed`. */
  readonly locked: readonly LockedVersions[];
  readonly deletedAt: string;
}
