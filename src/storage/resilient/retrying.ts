import type { OperationOptions, Storage } from "../storage.ts";
import type { Attempts } from "./attempts.ts";
import { changed, coldBy, lockedBy } from "./changed.ts";

/**
 * A storage whose calls are tried again as `start` says. That is safe for all of them: a put whose answer was lost finds its own
 * bytes under its name, a removed object may be removed again.
 */
export function retrying(inner: Storage, start: (options: OperationOptions | undefined) => Attempts): Storage {
  return changed(inner, {
    put: (key, bytes, options) => persist(start(options), () => inner.put(key, bytes, options)),
    get: (key, range, options) => persist(start(options), () => inner.get(key, range, options)),
    stat: (key, options) => persist(start(options), () => inner.stat(key, options)),
    remove: (key, options) => persist(start(options), () => inner.remove(key, options)),
    space: (options) => persist(start(options), () => inner.space(options)),
    ...coldBy(inner, (call, options) => persist(start(options), call)),
    ...lockedBy(inner, (call, options) => persist(start(options), call)),
    list: (prefix, options) => listAll(start(options), () => inner.list(prefix, options)),
  });
}

export async function persist<T>(attempts: Attempts, attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      const result = await attempt();
      attempts.succeeded();
      return result;
    } catch (error) {
      await attempts.failed(error);
    }
  }
}

/** A listing that broke off begins anew, in whatever order: what was told is known by its key, and not told twice. */
async function* listAll<T extends { readonly key: string }>(
  attempts: Attempts,
  list: () => AsyncIterable<T>,
): AsyncIterable<T> {
  const told = new Set<string>();
  for (;;) {
    try {
      for await (const object of list()) {
        if (told.has(object.key)) continue;
        attempts.succeeded();
        told.add(object.key);
        yield object;
      }
      attempts.succeeded();
      return;
    } catch (error) {
      await attempts.failed(error);
    }
  }
}
