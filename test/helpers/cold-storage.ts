import { BackupctlError } from "../../src/errors.ts";
import { changed } from "../../src/storage/resilient/changed.ts";
import type { Storage, Warmth } from "../../src/storage/storage.ts";

export const THAW_MS = 5 * 3_600_000;

/** What lies cold, by key. */
export type ColdKeys = Map<string, Warmth["state"]>;

/** A storage of an archive class over another one: what is frozen in it can't be read before the test says so. */
export function coldStorage(inner: Storage, keys: ColdKeys = new Map()): Storage {
  return changed(inner, {
    async get(key, range, options) {
      if ((keys.get(key) ?? "ready") === "ready") return inner.get(key, range, options);
      throw new BackupctlError("OBJECT_COLD", `storage "${inner.name}" cannot read ${key}: it is frozen`);
    },
    async *list(prefix, options) {
      for await (const object of inner.list(prefix, options)) yield { ...object, cold: keys.has(object.key) };
    },
    async remove(key, options) {
      await inner.remove(key, options);
      keys.delete(key);
    },
    cold: {
      async freeze(key) {
        if (!keys.has(key)) keys.set(key, "frozen");
      },
      async thaw(key) {
        if (keys.get(key) === "frozen") keys.set(key, "thawing");
      },
      warmth: async (key) => ({ state: keys.get(key) ?? "ready", thawMs: THAW_MS }),
    },
  });
}

/** All that was asked for can be read, and nothing else. */
export function finishThaw(keys: ColdKeys): void {
  for (const [key, state] of keys) if (state === "thawing") keys.set(key, "ready");
}
