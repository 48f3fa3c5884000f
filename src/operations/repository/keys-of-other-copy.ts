import { roleOf, splitObjectKey } from "../../domain/object-names.ts";
import type { ReadableStorage } from "./read-object.ts";

/** Backups as `storage` has them, with the keys that `other` has. */
export function withKeysOf(storage: ReadableStorage, other: ReadableStorage): ReadableStorage {
  return {
    name: storage.name,
    get: (key, range, options) => (isKeysObject(key) ? other : storage).get(key, range, options),
    async *list(prefix, options) {
      for await (const object of storage.list(prefix, options)) if (!isKeysObject(object.key)) yield object;
      for await (const object of other.list(prefix, options)) if (isKeysObject(object.key)) yield object;
    },
  };
}

function isKeysObject(key: string): boolean {
  return roleOf(splitObjectKey(key)?.name ?? "") === "keys";
}
