import { BackupctlError, type ErrorCode } from "../../errors.ts";

/** How a service failed a call, in the words of the storage port. */
export interface ServiceFailure {
  readonly code: ErrorCode;
  readonly retryable?: boolean;
  readonly hint?: string;
  /** What happened, where it is not what the service said. */
  readonly what?: string;
}

/** Too much to do, being restarted, or the bytes were damaged on their way. */
export const BUSY: ServiceFailure = { code: "STORAGE_FAILED", retryable: true };
export const WRONG_CLOCK: ServiceFailure = {
  code: "CLOCK_SKEWED",
  hint: "Set the clock of this host; `timedatectl` shows whether it is synchronised.",
};

const MAX_WORDS = 300;

/** The error of a failed call as the storage port promises it; where nobody knows what kind of failure it is, as it came. */
export function toStorageError(
  error: unknown,
  failure: ServiceFailure | undefined,
  { storage, doing }: { readonly storage: string; readonly doing: string },
): unknown {
  if (error instanceof BackupctlError || failure === undefined) return error;
  const { code, what = "", ...details } = failure;
  return new BackupctlError(code, `storage "${storage}" cannot ${doing}: ${what}`, { cause: error, ...details });
}

/** One line without a full stop, whatever the service sent. */
export function firstLine(text: string): string {
  return text.split("\n")[0]?.trim().replace(/\.$/, "").slice(0, MAX_WORDS) ?? "";
}
