import { createHash } from "node:crypto";
import { BackupctlError } from "../../src/errors.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { requireFolder, requireObjectKey } from "../../src/storage/object-key.ts";
import type { Storage, StoredObject } from "../../src/storage/storage.ts";

/** The objects of a memory storage, to look at and to damage; storages made over one map are one place. */
export type MemoryObjects = Map<string, { bytes: Buffer; modifiedAt: Date }>;

export interface MemoryStorageOptions {
  readonly name?: string;
  readonly objects?: MemoryObjects;
  readonly clock?: Clock;
  /** `put` fails with `INSUFFICIENT_STORAGE` beyond it. */
  readonly capacityBytes?: number;
}

/** A storage that really stores, for tests: the whole contract of the port, and nothing on disk. */
export function memoryStorage(options: MemoryStorageOptions = {}): Storage & { readonly objects: MemoryObjects } {
  const name = options.name ?? "memory";
  const objects: MemoryObjects = options.objects ?? new Map();
  const clock = options.clock ?? systemClock;
  const used = () => [...objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);

  const facts = (key: string): StoredObject | undefined => {
    const object = objects.get(key);
    if (object === undefined) return undefined;
    const sha256 = createHash("sha256").update(object.bytes).digest("hex");
    return { key, sizeBytes: object.bytes.length, modifiedAt: object.modifiedAt, sha256 };
  };

  return {
    name,
    address: `memory:${name}`,
    capabilities: { local: false, exclusiveNames: true },
    objects,
    async put(key, bytes, { signal } = {}) {
      requireObjectKey(key);
      signal?.throwIfAborted();
      const there = objects.get(key);
      if (there !== undefined && !there.bytes.equals(bytes)) {
        throw new BackupctlError("OBJECT_CONFLICT", `storage "${name}" holds another ${key} already`);
      }
      if (there === undefined && used() + bytes.length > (options.capacityBytes ?? Number.POSITIVE_INFINITY)) {
        throw new BackupctlError("INSUFFICIENT_STORAGE", `storage "${name}" is full`);
      }
      if (there === undefined) objects.set(key, { bytes: Buffer.from(bytes), modifiedAt: clock.now() });
      return facts(key)!;
    },
    async get(key, range, { signal } = {}) {
      requireObjectKey(key);
      signal?.throwIfAborted();
      const bytes = objects.get(key)?.bytes;
      if (bytes === undefined) return undefined;
      const offset = range?.offset ?? 0;
      return Buffer.from(bytes.subarray(offset, range === undefined ? undefined : offset + range.length));
    },
    async stat(key, { signal } = {}) {
      requireObjectKey(key);
      signal?.throwIfAborted();
      return facts(key);
    },
    async *list(prefix, { signal } = {}) {
      const folder = requireFolder(prefix);
      for (const key of [...objects.keys()]) {
        signal?.throwIfAborted();
        const found = folder === "" || key.startsWith(`${folder}/`) ? facts(key) : undefined;
        if (found !== undefined) yield found;
      }
    },
    async remove(key, { signal } = {}) {
      requireObjectKey(key);
      signal?.throwIfAborted();
      objects.delete(key);
    },
    async space() {
      if (options.capacityBytes === undefined) return {};
      return { freeBytes: options.capacityBytes - used(), totalBytes: options.capacityBytes };
    },
    async close() {},
  };
}
