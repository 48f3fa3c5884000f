import type { Storage } from "../storage.ts";
import { changed } from "./changed.ts";
import { makePace } from "./pace.ts";
import type { StorageRun } from "./run.ts";

/**
 * A storage to which no more than `bytesPerSecond` are sent on average. An adapter is given whole objects, and sends each of them as
 * fast as the line takes it; the next one waits for as long as that saved.
 */
export function pacedUploads(inner: Storage, bytesPerSecond: number, run: StorageRun): Storage {
  const pace = makePace(bytesPerSecond, run);
  return changed(inner, {
    async put(key, bytes, options) {
      await pace(bytes.length, options?.signal);
      return inner.put(key, bytes, options);
    },
  });
}
