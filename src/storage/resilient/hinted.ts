import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Storage } from "../storage.ts";
import { changed } from "./changed.ts";

/** A storage whose failures say what can be done, where its adapter does not know it. */
export function hinted(inner: Storage): Storage {
  const { name } = inner;
  return changed(inner, {
    put: (...given) => withHint(name, () => inner.put(...given)),
    get: (...given) => withHint(name, () => inner.get(...given)),
    stat: (...given) => withHint(name, () => inner.stat(...given)),
    remove: (...given) => withHint(name, () => inner.remove(...given)),
    space: (...given) => withHint(name, () => inner.space(...given)),
    async *list(...given) {
      try {
        yield* inner.list(...given);
      } catch (error) {
        throw hintedError(name, error);
      }
    },
  });
}

/** @throws what `work` throws, with a hint */
export async function withHint<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw hintedError(name, error);
  }
}

function hintedError(name: string, error: unknown): unknown {
  if (!isBackupctlError(error, "STORAGE_FAILED") || error.hint !== undefined) return error;
  const { code, message, lines, retryable, exitCode, data } = error;
  return new BackupctlError(code, message, {
    hint: `See what works and what does not with \`backupctl storage check ${name}\`.`,
    cause: error,
    ...{ lines, retryable, exitCode },
    ...(data === undefined ? {} : { data }),
  });
}
