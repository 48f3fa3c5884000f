import type { BackupId } from "../../domain/backup.ts";
import type { Lag } from "../../domain/copies.ts";
import type { ErrorCode } from "../../errors.ts";
import type { OnProgress } from "../operations.ts";

export interface ReplicateRequest {
  /** An id, a unique prefix, `latest`: that backup and its ancestors; undefined: all. */
  readonly reference?: string | undefined;
  /** Empty: every storage that is no archive. */
  readonly to: readonly string[];
  readonly from?: string | undefined;
  readonly dryRun: boolean;
  readonly lockWaitMs: number;
  readonly onProgress?: OnProgress | undefined;
}

export interface ReplicateResult {
  readonly dryRun: boolean;
  readonly storages: readonly StorageReplication[];
  readonly warnings: readonly string[];
}

interface SaidError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}

/** What was copied to one storage, and what it lacks in the end. */
export interface StorageReplication {
  readonly name: string;
  readonly copied: readonly BackupId[];
  readonly bytes: number;
  readonly notCopied: readonly { readonly backupId: BackupId; readonly error: SaidError }[];
  /** Why it was not gone on with: the storage could not be read or written. */
  readonly failure: SaidError | undefined;
  readonly lag: Lag;
}
