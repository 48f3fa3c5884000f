import type { BackupId } from "../../domain/backup.ts";
import type { SimulatedDay } from "../../domain/retention/simulate.ts";
import type { ErrorCode } from "../../errors.ts";
import type { BackupSummary } from "../backup-views.ts";

export interface CleanupPlan {
  readonly storages: readonly {
    readonly name: string;
    /** Of every backup that lies there, the newest first. */
    readonly verdicts: readonly CleanupVerdict[];
    /** Why it could not be asked whether what would go there is locked. */
    readonly unasked?: SaidError | undefined;
  }[];
  /** Why the run is refused unless it is forced. */
  readonly brakes: readonly { readonly kind: string; readonly text: string }[];
}

export interface CleanupVerdict {
  readonly backup: BackupSummary;
  readonly keep: boolean;
  readonly reasons: readonly { readonly kind: string; readonly text: string }[];
  /** What it takes in this storage. */
  readonly bytes: number;
}

export interface CleanupRequest {
  /** In spite of what the plan calls brakes; with a reason. */
  readonly force: boolean;
  readonly reason?: string | undefined;
  readonly lockWaitMs: number;
}

export interface CleanupResult {
  readonly plan: CleanupPlan;
  /** What was copied to an archive, and verified there. */
  readonly archived: readonly { readonly backupId: BackupId; readonly to: string }[];
  /** Whose packs of data were moved to the cold class of an archive. */
  readonly frozen: readonly { readonly backupId: BackupId; readonly to: string }[];
  readonly storages: readonly CleanedStorage[];
}

interface SaidError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}

export interface CleanedStorage {
  readonly name: string;
  /** Nobody looked at it, since it is away. Of an archive that is no failure. */
  readonly leftOut: boolean;
  readonly removed: readonly BackupId[];
  readonly bytes: number;
  /** What would have gone if nobody were kept from removing it. */
  readonly locked: readonly { readonly backupId: BackupId; readonly until: Date }[];
  /** What should have gone, and why it stayed. */
  readonly notRemoved: readonly { readonly backupId: BackupId; readonly error: SaidError }[];
  /** Why it was not worked in, or not to the end. */
  readonly failure: SaidError | undefined;
}

/** How the storages would fill. */
export interface CleanupSimulation {
  /** The names of those that make backups. */
  readonly schedules: readonly string[];
  /** Of those that clean up; where there is none, it is taken to be done each day. */
  readonly cleanups: readonly string[];
  /** The storages whose service may keep more, since it locks objects: it is not asked, and nothing of that is counted. */
  readonly locksUnknown: readonly string[];
  /** Modes in which no backup was made yet: those of them count nothing. */
  readonly sizesUnknown: readonly string[];
  readonly days: readonly SimulatedDay[];
}
