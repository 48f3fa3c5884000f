import type { Storage, StoredObject } from "../storage.ts";
import { changed, coldBy } from "./changed.ts";
import { makeSlots } from "./slots.ts";

/** What most services tell at once. */
const PAGE_OBJECTS = 1000;

/** A storage with at most `concurrency` calls at the same time, in the order in which they came. */
export function limited(inner: Storage, concurrency: number): Storage {
  const slots = makeSlots(concurrency);
  return changed(inner, {
    put: (key, bytes, options) => slots.use(options?.signal, () => inner.put(key, bytes, options)),
    get: (key, range, options) => slots.use(options?.signal, () => inner.get(key, range, options)),
    stat: (key, options) => slots.use(options?.signal, () => inner.stat(key, options)),
    remove: (key, options) => slots.use(options?.signal, () => inner.remove(key, options)),
    space: (options) => slots.use(options?.signal, () => inner.space(options)),
    ...coldBy(inner, (call, options) => slots.use(options?.signal, call)),
    // Never while somebody else has an object in hand: who calls the storage for each of them would wait for himself.
    async *list(prefix, options) {
      const objects = inner.list(prefix, options)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const page = await slots.use(options?.signal, () => take(objects, PAGE_OBJECTS));
          yield* page;
          if (page.length < PAGE_OBJECTS) return;
        }
      } finally {
        await objects.return?.();
      }
    },
  });
}

async function take(objects: AsyncIterator<StoredObject>, most: number): Promise<readonly StoredObject[]> {
  const page: StoredObject[] = [];
  while (page.length < most) {
    const next = await objects.next();
    if (next.done === true) break;
    page.push(next.value);
  }
  return page;
}
