import type { Storage } from "../../storage/storage.ts";

/**
 * An object that can have `most` bytes, and one byte more of it if it is larger, which is enough to refuse it: one that has grown to any
 * size must not take the memory that the others are read with.
 */
export function readObject(storage: Storage, key: string, most: number): Promise<Buffer | undefined> {
  return storage.get(key, { offset: 0, length: most + 1 });
}
