/** What can go wrong in an expected way, and the exit status that each ends the program with. */
export const EXIT_CODES = {
  // 1: failed
  BACKUP_FAILED: 1,
  RESTORE_FAILED: 1,
  SOURCE_FAILED: 1,
  STORAGE_FAILED: 1,
  STORAGE_NOT_FOUND: 1,
  STORAGE_DENIED: 1,
  INSUFFICIENT_STORAGE: 1,
  OBJECT_CONFLICT: 1,
  OUTPUT_FAILED: 1,
  TOOL_MISSING: 1,
  TOOL_FAILED: 1,
  TOOL_TOO_OLD: 1,
  CATALOG_FAILED: 1,
  CLOCK_SKEWED: 1,
  NOTIFICATION_FAILED: 1,
  // 2: usage or configuration
  USAGE: 2,
  CONFIG_NOT_FOUND: 2,
  CONFIG_INVALID: 2,
  INVALID_BACKUP_TYPE: 2,
  COMPONENT_NOT_FOUND: 2,
  SOURCE_NOT_FOUND: 2,
  TARGET_NOT_FOUND: 2,
  SCHEDULE_NOT_FOUND: 2,
  NOT_CONFIRMED: 2,
  TARGET_NOT_EMPTY: 2,
  REPOSITORY_NOT_INITIALIZED: 2,
  REPOSITORY_MISMATCH: 2,
  NODE_TOO_OLD: 2,
  // 3: partly done
  PARTIALLY_DONE: 3,
  OBJECT_COLD: 3,
  // 4: unhealthy
  BACKUP_CORRUPTED: 4,
  BACKUP_VERIFICATION_FAILED: 4,
  UNSUPPORTED_FORMAT: 4,
  // 10 and more: states that a script wants to tell apart
  BACKUP_NOT_FOUND: 10,
  BACKUP_IN_PROGRESS: 11,
  RESTORE_IN_PROGRESS: 11,
  ENCRYPTION_KEY_NOT_FOUND: 12,
  RETENTION_POLICY_VIOLATION: 14,
  INTERRUPTED: 130,
} as const;

export type ErrorCode = keyof typeof EXIT_CODES;

export interface ErrorDetails {
  /** A sentence in the imperative that ends the problem, with a command to run where one exists. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** What belongs below the message, a line each; `data` has the same for `--json`. */
  readonly lines?: readonly string[];
  /** True when the same call may succeed later without anyone changing anything. */
  readonly retryable?: boolean;
  /** Overrides the exit status of the code, e.g. 143 for SIGTERM. */
  readonly exitCode?: number;
  /** Facts for `--json` readers: plain values only, never a secret. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/**
 * An expected failure. The message is lowercase, without a full stop, and names the object.
 * Anything else that is thrown is a bug and printed with its stack.
 */
export class BackupctlError extends Error {
  override readonly name = "BackupctlError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly lines: readonly string[];
  readonly retryable: boolean;
  readonly exitCode: number;
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.lines = details.lines ?? [];
    this.retryable = details.retryable ?? false;
    this.exitCode = details.exitCode ?? EXIT_CODES[code];
    this.data = details.data;
  }
}

export function isBackupctlError(error: unknown, code?: ErrorCode): error is BackupctlError {
  return error instanceof BackupctlError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
