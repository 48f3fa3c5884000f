import { withName } from "../../domain/storage-messages.ts";
import { BackupctlError } from "../../errors.ts";

/** The failure that is thrown, with a line for each other storage that failed as well: who looks at the one alone would look in vain. */
export function amongFailures(failure: BackupctlError, failures: ReadonlyMap<string, BackupctlError>): BackupctlError {
  const others = [...failures].filter(([, error]) => error !== failure);
  if (others.length === 0) return failure;
  const { code, message, hint, cause, retryable, exitCode, data } = failure;
  return new BackupctlError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...{ cause, retryable, exitCode },
    lines: [...failure.lines, ...others.map(([name, error]) => withName(name, error.message))],
    data: {
      ...data,
      others: others.map(([storage, error]) => ({ storage, code: error.code, message: error.message })),
    },
  });
}
