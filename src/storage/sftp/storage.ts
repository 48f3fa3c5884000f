import * as path from "node:path/posix";
import { BackupctlError } from "../../errors.ts";
import { systemClock } from "../../platform/clock.ts";
import { randomHex } from "../../platform/random.ts";
import { missingPlace } from "../network/folder-failures.ts";
import { unlessAborted } from "../network/unless-aborted.ts";
import { requireFolder, requireObjectKey, UNFINISHED_PREFIX } from "../object-key.ts";
import type { ByteRange, OperationOptions, Storage, StorageContext, StorageSpace, StoredObject } from "../storage.ts";
import { Connection } from "./connection.ts";
import { asStorageError, fullPlace, hasStatus } from "./errors.ts";
import { diskSpace, isFolder, look, makeFolder, readFile, remove, unlessMissing, writeFile } from "./files.ts";
import type { SftpOptions } from "./options.ts";
import { folderOf, sftpAddress } from "./place.ts";
import type { Attributes, Session } from "./session.ts";
import { asObject, removeEmptyFolders, walkObjects } from "./walk.ts";

const DEFAULT_STALL_TIMEOUT_MS = 60_000;
/** A folder that was made for a put may be removed, being empty, before the put writes into it. */
const ATTEMPTS_TO_MAKE_FOLDERS = 5;

/** Logs in; makes the folder (0700) only if `context.create` is set. @throws `STORAGE_NOT_FOUND` otherwise; see `logIn`. */
export async function openSftpStorage(options: SftpOptions, context: StorageContext): Promise<Storage> {
  const stallTimeoutMs = context.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
  const connection = new Connection(options, { storage: context.name, stallTimeoutMs });
  const root = folderOf(options.path);
  const place = { storage: context.name, place: root, doing: "be opened" };
  try {
    const session = await connection.session();
    if (context.create === true) await makeFolders(session, root);
    if (!(await isFolder(session, root))) throw missingPlace(context.name, root);
    return new SftpStorage({ name: context.name, address: sftpAddress(options), root, connection, session });
  } catch (error) {
    await connection.close();
    throw asStorageError(error, place);
  }
}

async function makeFolders(session: Session, folder: string): Promise<void> {
  const names = folder.split("/");
  for (let depth = 1; depth <= names.length; depth++) {
    const above = names.slice(0, depth).join("/");
    if (above !== "") await makeFolder(session, above);
  }
}

class SftpStorage implements Storage {
  readonly name: string;
  readonly address: string;
  readonly capabilities: Storage["capabilities"];
  readonly #root: string;
  readonly #connection: Connection;

  constructor(opened: {
    readonly name: string;
    readonly address: string;
    readonly root: string;
    readonly connection: Connection;
    readonly session: Session;
  }) {
    this.name = opened.name;
    this.address = opened.address;
    this.capabilities = { local: false, exclusiveNames: opened.session.supports("hardlink") };
    this.#root = opened.root;
    this.#connection = opened.connection;
  }

  async put(key: string, bytes: Uint8Array, options: OperationOptions = {}): Promise<StoredObject> {
    requireObjectKey(key);
    return await this.#doing(`write ${key}`, options, async (session) => {
      const file = this.#file(key);
      const there = await this.#look(session, file);
      if (there !== undefined) return await this.#acceptExisting(session, key, { bytes, facts: there, options });
      const part = path.join(path.dirname(file), `${UNFINISHED_PREFIX}${randomHex(12)}`);
      try {
        const facts = await this.#writePart(session, part, bytes, options.signal);
        options.signal?.throwIfAborted();
        // From here on the object is visible.
        if (await this.#place(session, part, file)) return asObject(key, facts);
      } catch (error) {
        throw await this.#afterFailure(session, error, { key, part, sizeBytes: bytes.length });
      }
      const winner = await look(session, file);
      if (winner === undefined) throw gone(this.name, key);
      return await this.#acceptExisting(session, key, { bytes, facts: winner, options });
    });
  }

  async get(key: string, range?: ByteRange, options: OperationOptions = {}): Promise<Buffer | undefined> {
    requireObjectKey(key);
    return await this.#doing(`read ${key}`, options, async (session) => {
      // Looked at before it is opened: a pipe in its place would keep the server waiting for a writer.
      const facts = await this.#look(session, this.#file(key));
      if (facts?.isFile() !== true) return undefined;
      const offset = Math.min(range?.offset ?? 0, facts.size);
      const length = Math.min(range?.length ?? facts.size, facts.size - offset);
      return await unlessMissing(readFile(session, this.#file(key), { offset, length, signal: options.signal }));
    });
  }

  async stat(key: string, options: OperationOptions = {}): Promise<StoredObject | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, options, async (session) => {
      const facts = await this.#look(session, this.#file(key));
      return facts?.isFile() === true ? asObject(key, facts) : undefined;
    });
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncIterable<StoredObject> {
    const folder = requireFolder(prefix);
    options.signal?.throwIfAborted();
    try {
      const session = await this.#connection.session();
      await this.#requirePlace(session);
      yield* walkObjects({ session, root: this.#root, clock: systemClock, signal: options.signal }, folder);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw this.#asStorageError(error, `list ${folder === "" ? this.#root : folder}`);
    }
  }

  async remove(key: string, options: OperationOptions = {}): Promise<void> {
    requireObjectKey(key);
    await this.#doing(`remove ${key}`, options, async (session) => {
      try {
        await remove(session, this.#file(key));
      } catch (error) {
        if (!hasStatus(error, "noSuchFile")) throw error;
        await this.#requirePlace(session);
      }
      await removeEmptyFolders(session, this.#root, key);
    });
  }

  async space(options: OperationOptions = {}): Promise<StorageSpace> {
    return await this.#doing("tell its free space", options, async (session) => {
      const space = await diskSpace(session, this.#root);
      return space === undefined ? {} : { freeBytes: space.freeBytes, totalBytes: space.totalBytes };
    });
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  #file(key: string): string {
    return path.join(this.#root, key);
  }

  async #look(session: Session, file: string): Promise<Attributes | undefined> {
    const facts = await look(session, file);
    if (facts === undefined) await this.#requirePlace(session);
    return facts;
  }

  /** "No such object" is believed only while the folder is there. */
  async #requirePlace(session: Session): Promise<void> {
    if (!(await isFolder(session, this.#root))) throw missingPlace(this.name, this.#root);
  }

  async #writePart(
    session: Session,
    part: string,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Attributes> {
    for (let attempt = 1; ; attempt++) {
      try {
        const facts = await writeFile(session, part, bytes, signal);
        if (facts.size === bytes.length) return facts;
        throw new BackupctlError("STORAGE_FAILED", `${part} has ${facts.size} bytes after writing ${bytes.length}`, {
          retryable: true,
        });
      } catch (error) {
        if (!hasStatus(error, "noSuchFile") || attempt > ATTEMPTS_TO_MAKE_FOLDERS) throw error;
        await this.#makeFoldersFor(session, part, attempt === ATTEMPTS_TO_MAKE_FOLDERS);
      }
    }
  }

  async #makeFoldersFor(session: Session, file: string, lastAttempt: boolean): Promise<void> {
    await this.#requirePlace(session);
    const names = path.dirname(path.relative(this.#root, file)).split("/");
    for (const index of names.keys()) {
      try {
        await makeFolder(session, path.join(this.#root, ...names.slice(0, index + 1)));
      } catch (error) {
        // There for a moment, or the one above no longer: somebody removes them, and the next attempt begins anew.
        if (!lastAttempt && hasStatus(error, "failure", "noSuchFile")) return;
        throw error;
      }
    }
  }

  /**
   * Gives a part its final name; false, with the part gone, if that name is taken. A hard link never replaces anything. Without them
   * there is a gap between look and rename, in which only a repetition of the same put would come: folders bear the backup's random id.
   */
  async #place(session: Session, part: string, file: string): Promise<boolean> {
    if (session.supports("hardlink")) {
      try {
        await session.request((sftp, done) => sftp.ext_openssh_hardlink(part, file, (error) => done(error, undefined)));
        // The object is in place; a part that can't be removed now is a second name, swept later.
        await remove(session, part).catch(() => undefined);
        return true;
      } catch (error) {
        // The name is taken, or the file system has no hard links: the protocol has one status for both.
        if (!hasStatus(error, "failure", "permissionDenied", "unsupported")) throw error;
      }
    }
    if ((await look(session, file)) === undefined) {
      await session.request((sftp, done) => sftp.rename(part, file, (error) => done(error, undefined)));
      return true;
    }
    await remove(session, part).catch(() => undefined);
    return false;
  }

  /** The error to report. The disk is asked before the part, which fills it, is removed. */
  async #afterFailure(
    session: Session,
    error: unknown,
    { key, part, sizeBytes }: { readonly key: string; readonly part: string; readonly sizeBytes: number },
  ): Promise<unknown> {
    if (!session.usable) return error;
    const space = hasStatus(error, "failure") ? await diskSpace(session, this.#root).catch(() => undefined) : undefined;
    await remove(session, part).catch(() => undefined);
    if (space === undefined || (space.freeBytes >= sizeBytes && space.freeFiles > 0)) return error;
    return fullPlace(this.name, this.#root, `write ${key}`, error);
  }

  async #acceptExisting(
    session: Session,
    key: string,
    {
      bytes,
      facts,
      options: { signal },
    }: { readonly bytes: Uint8Array; readonly facts: Attributes; readonly options: OperationOptions },
  ): Promise<StoredObject> {
    if (facts.isFile() && facts.size === bytes.length) {
      const stored = await readFile(session, this.#file(key), { offset: 0, length: bytes.length, signal });
      if (stored.equals(bytes)) return asObject(key, facts);
    }
    throw new BackupctlError("OBJECT_CONFLICT", `storage "${this.name}" holds another ${key} already`, {
      hint: "Objects are never rewritten. If it is damaged, `backupctl verify ID --repair` mends it from another storage's copy; without one remove its backup with `backupctl delete`.",
    });
  }

  /** An aborted call ends at once; what it still does at the server, which is to remove its part, goes on behind. */
  async #doing<T>(what: string, { signal }: OperationOptions, work: (session: Session) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await unlessAborted(signal, this.#connection.session().then(work));
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#asStorageError(error, what);
    }
  }

  #asStorageError(error: unknown, doing: string): unknown {
    return asStorageError(error, { storage: this.name, place: this.#root, doing });
  }
}

function gone(storage: string, key: string): BackupctlError {
  return new BackupctlError("STORAGE_FAILED", `storage "${storage}": ${key} was removed while it was written`, {
    retryable: true,
  });
}
