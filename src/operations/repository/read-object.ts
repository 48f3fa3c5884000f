import type { Storage } from "../../storage/storage.ts";

/** What reading a backup asks of a storage. */
export type ReadableStorage = Pick<Storage, "name" | "get" | "list">;

/**
 * An object that can have `most` bytes, and one byte more of it if it is larger, which is enough to refuse it: one that has grown to any
 * size must not take the memory that the others are read with.
 */
export function readObject(storage: Pick<Storage, "get">, key: string, most: number): Promise<Buffer | undefined> {
  return storage.get(key, { offset: 0, length: most + 1 });
}
