import * as path from "node:path/posix";
import { BackupctlError } from "../../errors.ts";
import { systemClock } from "../../platform/clock.ts";
import { randomHex } from "../../platform/random.ts";
import { requireSound } from "../network/sound-options.ts";
import { requireFolder, requireObjectKey, UNFINISHED_PREFIX } from "../object-key.ts";
import type { ByteRange, OperationOptions, Storage, StorageContext, StorageSpace, StoredObject } from "../storage.ts";
import { asStorageError, isRefusal } from "./errors.ts";
import {
  makeFolders,
  modifiedAt,
  type Place,
  readFile,
  removeEmptyFolders,
  removeFile,
  requirePlace,
  sizeOf,
  whyNotWritten,
} from "./files.ts";
import { logIn } from "./login.ts";
import type { FtpOptions } from "./options.ts";
import { ftpAddress, ftpProblems } from "./place.ts";
import { ConnectionPool } from "./pool.ts";
import { upload } from "./transfer.ts";
import { walkObjects } from "./walk.ts";

const DEFAULT_STALL_TIMEOUT_MS = 60_000;
/** A folder that was made for a put may be removed, being empty, before the put writes into it. */
const ATTEMPTS_TO_MAKE_FOLDERS = 5;

/** Logs in; makes the folder only if `context.create` is set. @throws `STORAGE_NOT_FOUND` otherwise; see `logIn`. */
export async function openFtpStorage(options: FtpOptions, context: StorageContext): Promise<Storage> {
  const stallTimeoutMs = context.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
  requireSound(context.name, ftpProblems(options));
  const pool = new ConnectionPool(options.connections, () => logIn(options, { storage: context.name, stallTimeoutMs }));
  const storage = new FtpStorage(context.name, ftpAddress(options), pool);
  try {
    await storage.prepare(context.create === true);
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

class FtpStorage implements Storage {
  readonly name: string;
  readonly address: string;
  readonly capabilities = { local: false, exclusiveNames: false };
  readonly #pool: ConnectionPool;

  constructor(name: string, address: string, pool: ConnectionPool) {
    this.name = name;
    this.address = address;
    this.#pool = pool;
  }

  async prepare(create: boolean): Promise<void> {
    await this.#doing("be opened", {}, async (place) => {
      if (create) await makeFolders(place, "/", place.login.root);
      await requirePlace(place);
    });
  }

  async put(key: string, bytes: Uint8Array, options: OperationOptions = {}): Promise<StoredObject> {
    requireObjectKey(key);
    return await this.#doing(`write ${key}`, options, async (place) => {
      const file = path.join(place.login.root, key);
      if (await this.#holds(place, key, bytes)) return await stored(place, key, bytes);
      const part = path.join(path.dirname(file), `${UNFINISHED_PREFIX}${randomHex(12)}`);
      try {
        await this.#writePart(place, { key, part, bytes });
        options.signal?.throwIfAborted();
        await this.#rename(place, { key, part, bytes });
      } catch (error) {
        await this.#removePart(place, part, options.signal);
        throw error;
      }
      return await stored(place, key, bytes);
    });
  }

  async get(key: string, range?: ByteRange, options: OperationOptions = {}): Promise<Buffer | undefined> {
    requireObjectKey(key);
    return await this.#doing(`read ${key}`, options, async (place) => {
      const file = path.join(place.login.root, key);
      const size = await sizeOf(place, file);
      if (size === undefined) return undefined;
      const offset = Math.min(range?.offset ?? 0, size);
      const length = Math.min(range?.length ?? size, size - offset);
      return await readFile(place, file, { offset, length });
    });
  }

  async stat(key: string, options: OperationOptions = {}): Promise<StoredObject | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, options, async (place) => {
      const file = path.join(place.login.root, key);
      const sizeBytes = await sizeOf(place, file);
      return sizeBytes === undefined ? undefined : { key, sizeBytes, modifiedAt: await modifiedAt(place, file) };
    });
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncIterable<StoredObject> {
    const folder = requireFolder(prefix);
    const doing = `list ${folder === "" ? "everything" : folder}`;
    await this.#doing(doing, options, requirePlace);
    const use = <T>(work: (place: Place) => Promise<T>): Promise<T> => this.#doing(doing, options, work);
    yield* walkObjects({ use, clock: systemClock }, folder);
  }

  async remove(key: string, options: OperationOptions = {}): Promise<void> {
    requireObjectKey(key);
    await this.#doing(`remove ${key}`, options, async (place) => {
      await removeFile(place, path.join(place.login.root, key));
      await removeEmptyFolders(place, key);
    });
  }

  /** FTP has no word for it. */
  async space(): Promise<StorageSpace> {
    return {};
  }

  async close(): Promise<void> {
    this.#pool.close();
  }

  async #writePart(
    place: Place,
    { key, part, bytes }: { readonly key: string; readonly part: string; readonly bytes: Uint8Array },
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await upload(place.login.client, part, bytes);
        break;
      } catch (error) {
        // For want of the folder, perhaps, which others make and remove meanwhile: what is refused again and again is not permitted.
        if (!isRefusal(error) || attempt > ATTEMPTS_TO_MAKE_FOLDERS)
          throw await whyNotWritten(place, { error, key, file: part });
        await requirePlace(place);
        await makeFolders(place, place.login.root, path.dirname(part));
      }
    }
    const size = await place.login.client.size(part);
    if (size === bytes.length) return;
    throw new BackupctlError(
      "STORAGE_FAILED",
      `storage "${this.name}" has ${size} bytes of ${key} after writing ${bytes.length}`,
      { retryable: true },
    );
  }

  /** As far as it can be had: what stays is swept by listings, a day later. An abort has ended the connection, so it takes another one. */
  async #removePart({ login: { client } }: Place, part: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      if (!client.closed) await client.remove(part);
      else if (signal?.aborted === true) await this.#pool.use(undefined, (login) => login.client.remove(part));
    } catch {
      // The failure of the put is what counts.
    }
  }

  /**
   * On most servers a rename replaces what is there. The gap between look and rename is harmless: two writers meet on one name only when
   * they repeat the same put, because folders bear the backup's random id.
   */
  async #rename(
    place: Place,
    { key, part, bytes }: { readonly key: string; readonly part: string; readonly bytes: Uint8Array },
  ): Promise<void> {
    const { client, root } = place.login;
    if (await this.#holds(place, key, bytes)) {
      await client.remove(part);
      return;
    }
    try {
      await client.rename(part, path.join(root, key));
    } catch (error) {
      // Here a rename replaces nothing, and another writer was quicker.
      if (!isRefusal(error) || !(await this.#holds(place, key, bytes))) throw error;
      await client.remove(part);
    }
  }

  /** Whether exactly these bytes lie there already. @throws `OBJECT_CONFLICT` where others do. */
  async #holds(place: Place, key: string, bytes: Uint8Array): Promise<boolean> {
    const file = path.join(place.login.root, key);
    const size = await sizeOf(place, file);
    if (size === undefined) return false;
    const there = size === bytes.length ? await readFile(place, file, { offset: 0, length: size }) : undefined;
    if (there?.equals(bytes) === true) return true;
    throw new BackupctlError("OBJECT_CONFLICT", `storage "${this.name}" holds another ${key} already`, {
      hint: "Objects are never rewritten. If it is damaged, `backupctl verify ID --repair` mends it from another storage's copy; without one remove its backup with `backupctl delete`.",
    });
  }

  async #doing<T>(doing: string, { signal }: OperationOptions, work: (place: Place) => Promise<T>): Promise<T> {
    let root = "";
    try {
      return await this.#pool.use(signal, (login) => {
        root = login.root;
        return work({ storage: this.name, login });
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw asStorageError(error, { storage: this.name, place: root, doing });
    }
  }
}

async function stored(place: Place, key: string, bytes: Uint8Array): Promise<StoredObject> {
  const at = await modifiedAt(place, path.join(place.login.root, key));
  return { key, sizeBytes: bytes.length, modifiedAt: at };
}
