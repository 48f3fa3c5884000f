import { METADATA_NAME, parsePackName } from "../../domain/object-names.ts";
import { BackupctlError, messageOf } from "../../errors.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { Storage } from "../../storage/storage.ts";

interface WrittenObject {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The directory of the backup that is being made, in every storage of the run: knows all that was put there. */
export class BackupObjects {
  readonly directory: string;
  readonly #primary: Storage;
  readonly #replicas: Map<string, Storage>;
  readonly #written = new Map<string, WrittenObject>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #dropped = new Map<string, string>();
  readonly #left: Storage[] = [];

  constructor(directory: string, primary: Storage, replicas: readonly Storage[]) {
    this.directory = directory;
    this.#primary = primary;
    this.#replicas = new Map(replicas.map((storage) => [storage.name, storage]));
  }

  /** Replicas that failed, with the reason: their copy is completed later. */
  get dropped(): ReadonlyMap<string, string> {
    return this.#dropped;
  }

  /** Replicas that were dropped when something of this run may have come to lie there. */
  get left(): readonly Storage[] {
    return this.#left;
  }

  /** A replica that could not even be opened. */
  drop(storage: string, reason: string): void {
    this.#dropped.set(storage, reason);
  }

  get storages(): readonly Storage[] {
    return [this.#primary, ...this.#replicas.values()];
  }

  get totalBytes(): number {
    return [...this.#written.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  get count(): number {
    return this.#written.size;
  }

  /** Name and SHA-256 of every pack, for SHA256SUMS. */
  packSums(): ReadonlyMap<string, string> {
    const packs = [...this.#written].filter(([name]) => parsePackName(name) !== undefined);
    return new Map(packs.map(([name, { sha256 }]) => [name, sha256]));
  }

  /** The primary must take it; a replica that does not is dropped from this run. Packs come with their SHA-256, in hex: it takes a while. */
  async put(name: string, bytes: Uint8Array, sha256 = sha256Hex(bytes)): Promise<void> {
    const work = this.#putEverywhere(name, bytes, sha256);
    this.#underWay.add(work);
    try {
      await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async #putEverywhere(name: string, bytes: Uint8Array, sha256: string): Promise<void> {
    const key = `${this.directory}/${name}`;
    // Before the first put: what may have come to lie there must be found by `discard`.
    this.#written.set(name, { sizeBytes: bytes.length, sha256 });
    const replicas = [...this.#replicas.values()].map(async (storage) => {
      try {
        await checkedPut(storage, key, bytes);
      } catch (error) {
        this.#leave(storage, error);
      }
    });
    await checkedPut(this.#primary, key, bytes);
    await Promise.all(replicas);
  }

  #leave(storage: Storage, error: unknown): void {
    this.#dropped.set(storage.name, messageOf(error));
    // Of several puts at once more than one may fail.
    if (this.#replicas.delete(storage.name)) this.#left.push(storage);
  }

  /** Every object lies in every storage of the run, with its name and size, and nothing else. @throws `STORAGE_FAILED` */
  async requireComplete(): Promise<void> {
    await this.#compare(this.#primary);
    for (const storage of this.#replicas.values()) {
      try {
        await this.#compare(storage);
      } catch (error) {
        this.#leave(storage, error);
      }
    }
  }

  async #compare(storage: Storage): Promise<void> {
    const missing = new Set(this.#written.keys());
    for await (const { key, sizeBytes } of storage.list(this.directory)) {
      const name = key.slice(this.directory.length + 1);
      const written = this.#written.get(name);
      missing.delete(name);
      if (written?.sizeBytes === sizeBytes) continue;
      const what =
        written === undefined
          ? "was not written by this run"
          : `has ${sizeBytes} bytes instead of ${written.sizeBytes}`;
      throw new BackupctlError("STORAGE_FAILED", `${key} in storage "${storage.name}" ${what}`);
    }
    const [first] = missing;
    if (first === undefined) return;
    throw new BackupctlError(
      "STORAGE_FAILED",
      `${this.directory}/${first} is missing in storage "${storage.name}" after its put`,
    );
  }

  /** Removes what a failed source, or with no prefix the whole run, has put. metadata.json goes first. */
  async discard(prefix = ""): Promise<void> {
    await Promise.allSettled(this.#underWay);
    const names = [...this.#written.keys()].filter((name) => name.startsWith(prefix));
    names.sort((a, b) => Number(b === METADATA_NAME) - Number(a === METADATA_NAME));
    for (const name of names) {
      for (const storage of this.storages) await storage.remove(`${this.directory}/${name}`);
      this.#written.delete(name);
    }
  }
}

async function checkedPut(storage: Storage, key: string, bytes: Uint8Array): Promise<void> {
  const stored = await storage.put(key, bytes);
  if (stored.sizeBytes === bytes.length) return;
  throw new BackupctlError(
    "STORAGE_FAILED",
    `${key} in storage "${storage.name}" has ${stored.sizeBytes} bytes after its put, not ${bytes.length}`,
    {
      retryable: true,
    },
  );
}
