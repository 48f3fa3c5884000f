import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Storage } from "../storage.ts";
import { changed, coldBy } from "./changed.ts";

/** A storage whose failures say with `hint` what can be done, where its adapter does not know it. */
export function hinted(inner: Storage, hint: string): Storage {
  return changed(inner, {
    put: (...given) => withHint(hint, () => inner.put(...given)),
    get: (...given) => withHint(hint, () => inner.get(...given)),
    stat: (...given) => withHint(hint, () => inner.stat(...given)),
    remove: (...given) => withHint(hint, () => inner.remove(...given)),
    space: (...given) => withHint(hint, () => inner.space(...given)),
    ...coldBy(inner, (call) => withHint(hint, call)),
    async *list(...given) {
      try {
        yield* inner.list(...given);
      } catch (error) {
        throw hintedError(hint, error);
      }
    },
  });
}

/** @throws what `work` throws, with a hint */
export async function withHint<T>(hint: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw hintedError(hint, error);
  }
}

function hintedError(hint: string, error: unknown): unknown {
  if (!isBackupctlError(error, "STORAGE_FAILED") || error.hint !== undefined) return error;
  const { code, message, lines, retryable, exitCode, data } = error;
  return new BackupctlError(code, message, {
    hint,
    cause: error,
    ...{ lines, retryable, exitCode },
    ...(data === undefined ? {} : { data }),
  });
}
