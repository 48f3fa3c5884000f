import { promises as fs, type Stats } from "node:fs";
import * as path from "node:path";
import { BackupctlError } from "../../errors.ts";
import { type Clock, systemClock } from "../../platform/clock.ts";
import { errnoOf, syncDirectory } from "../../platform/files.ts";
import { requireFolder, requireObjectKey } from "../object-key.ts";
import type {
  ByteRange,
  OperationOptions,
  ProbeResult,
  Storage,
  StorageContext,
  StorageSpace,
  StoredObject,
} from "../storage.ts";
import {
  holdsSameBytes,
  type Link,
  makeDirectoryDurably,
  openUnlinked,
  placePart,
  writePart,
} from "./durable-write.ts";
import { asStorageError } from "./errors.ts";
import type { LocalOptions } from "./options.ts";
import { removeOverwritten, whyNotInPlace } from "./overwrite.ts";
import { isBehindLink, isMissing, removeEmptyFolders, walkObjects } from "./walk.ts";

/** Node ends the whole process where it is asked for 2 GiB at once. */
const MAX_READ_BYTES = 2 ** 30;

/** What differs between file systems, and what time it is. */
interface LocalSurroundings {
  readonly link?: Link;
  readonly clock?: Clock;
  /** What is removed is overwritten before. */
  readonly overwrites?: boolean;
}

/** Opens the directory; makes it (0700) only if `context.create` is set. @throws `STORAGE_NOT_FOUND` otherwise. */
export async function openLocalStorage(
  options: LocalOptions,
  context: StorageContext,
  surroundings: LocalSurroundings = {},
): Promise<Storage> {
  const directory = path.resolve(options.path);
  try {
    if (context.create === true) await makeDirectoryDurably(directory);
    const root = await fs.realpath(directory);
    const stats = await fs.stat(root);
    if (!stats.isDirectory()) throw inTheWay(context.name, directory);
    return new LocalStorage(context.name, root, stats, { ...surroundings, overwrites: options.secure_delete === true });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" && context.create !== true)
      throw notFound(context.name, `${directory} does not exist`, error);
    if (errno === "ENOTDIR" || errno === "EEXIST") throw inTheWay(context.name, directory, error);
    throw asStorageError(error, context.name, directory, "be opened");
  }
}

/** As many as Linux follows. */
const MOST_LINKS = 40;

/** The real path, as far as the place exists; of a link that leads nowhere just now, where it would lead. */
export async function localFolder(place: string): Promise<string> {
  const directory = path.resolve(place);
  const missing: string[] = [];
  let links = 0;
  for (let current = directory; ; ) {
    try {
      return path.join(await fs.realpath(current), ...missing);
    } catch {
      const target = links++ < MOST_LINKS ? await targetOf(current) : undefined;
      if (target === undefined) missing.unshift(path.basename(current));
      const next = target ?? path.dirname(current);
      if (next === current) return directory;
      current = next;
    }
  }
}

/** A disk that is not mounted must not have another address than the same disk mounted. */
async function targetOf(link: string): Promise<string | undefined> {
  try {
    return path.resolve(await fs.realpath(path.dirname(link)), await fs.readlink(link));
  } catch {
    return undefined;
  }
}

function notFound(name: string, what: string, cause?: unknown): BackupctlError {
  return new BackupctlError("STORAGE_NOT_FOUND", `storage "${name}": ${what}`, {
    cause,
    hint: "If its disk should be mounted there, mount it. If it is new, make it with `backupctl init`.",
  });
}

function inTheWay(name: string, directory: string, cause?: unknown): BackupctlError {
  return new BackupctlError("STORAGE_NOT_FOUND", `storage "${name}": ${directory} is not a directory`, {
    cause,
    hint: `A file is in the way: move it, or correct storages.${name}.path.`,
  });
}

class LocalStorage implements Storage {
  readonly name: string;
  readonly address: string;
  readonly capabilities = { local: true, exclusiveNames: true };
  readonly #root: string;
  readonly #identity: { readonly dev: number; readonly ino: number };
  readonly #link: Link;
  readonly #clock: Clock;
  readonly overwritingFails?: () => Promise<string | undefined>;
  readonly #removeFile: (file: string) => Promise<void>;

  constructor(name: string, root: string, stats: Stats, surroundings: LocalSurroundings) {
    this.name = name;
    this.address = `local:${root}`;
    this.#root = root;
    this.#identity = { dev: stats.dev, ino: stats.ino };
    this.#link = surroundings.link ?? fs.link;
    this.#clock = surroundings.clock ?? systemClock;
    this.#removeFile = surroundings.overwrites === true ? removeOverwritten : fs.unlink;
    if (surroundings.overwrites === true)
      this.overwritingFails = () => this.#doing("tell its file system", () => whyNotInPlace(this.#root));
  }

  async put(key: string, bytes: Uint8Array, options: OperationOptions = {}): Promise<StoredObject> {
    requireObjectKey(key);
    options.signal?.throwIfAborted();
    return await this.#doing(`write ${key}`, async () => {
      const file = this.#file(key);
      if (await this.#isBehindLink(file)) throw this.#behindLink(key);
      const there = await this.#lstatIfThere(file);
      if (there !== undefined) return await this.#acceptExisting(key, file, bytes);
      const part = await this.#writePart(path.dirname(file), bytes);
      if (options.signal?.aborted === true) {
        await fs.rm(part.file, { force: true });
        options.signal.throwIfAborted();
      }
      // From here on the object is visible, and durable once its directory is flushed.
      const placed = await placePart(part.file, file, this.#link);
      if (!placed) return await this.#acceptExisting(key, file, bytes);
      await syncDirectory(path.dirname(file));
      return { key, sizeBytes: part.stats.size, modifiedAt: part.stats.mtime };
    });
  }

  async get(key: string, range?: ByteRange, options: OperationOptions = {}): Promise<Buffer | undefined> {
    requireObjectKey(key);
    options.signal?.throwIfAborted();
    return await this.#doing(`read ${key}`, async () => {
      const handle = await this.#openIfThere(this.#file(key));
      if (handle === undefined) return undefined;
      try {
        const stats = await handle.stat();
        return stats.isFile() ? await readRange(handle, stats.size, range) : undefined;
      } finally {
        await handle.close();
      }
    });
  }

  async stat(key: string, options: OperationOptions = {}): Promise<StoredObject | undefined> {
    requireObjectKey(key);
    options.signal?.throwIfAborted();
    return await this.#doing(`look at ${key}`, async () => {
      const file = this.#file(key);
      const stats = (await this.#isBehindLink(file)) ? undefined : await this.#lstatIfThere(file);
      return stats?.isFile() ? { key, sizeBytes: stats.size, modifiedAt: stats.mtime } : undefined;
    });
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncIterable<StoredObject> {
    const folder = requireFolder(prefix);
    try {
      await this.#requireSamePlace();
      const sweeping = { clock: this.#clock, removeFile: this.#removeFile };
      yield* walkObjects(this.#root, folder, sweeping, options.signal);
    } catch (error) {
      throw asStorageError(error, this.name, this.#root, `list ${folder === "" ? this.#root : folder}`);
    }
  }

  async remove(key: string, options: OperationOptions = {}): Promise<void> {
    requireObjectKey(key);
    options.signal?.throwIfAborted();
    await this.#doing(`remove ${key}`, async () => {
      const file = this.#file(key);
      if (await this.#isBehindLink(file)) return;
      try {
        await this.#removeFile(file);
      } catch (error) {
        if (!isMissing(error)) throw error;
        await this.#requireSamePlace();
      }
      await removeEmptyFolders(this.#root, key);
    });
  }

  async space(): Promise<StorageSpace> {
    return await this.#doing("tell its free space", async () => {
      const stats = await fs.statfs(this.#root);
      return { freeBytes: stats.bavail * stats.bsize, totalBytes: stats.blocks * stats.bsize };
    });
  }

  async *probe(): AsyncIterable<ProbeResult> {
    if (this.overwritingFails === undefined) return;
    const what = "overwriting of what is removed (secure_delete)";
    const against = await this.overwritingFails();
    if (against === undefined) yield { what, outcome: "works", detail: "as far as the file system tells" };
    else yield { what, outcome: "absent", detail: `${against}: only encryption protects what was removed` };
  }

  async close(): Promise<void> {}

  #file(key: string): string {
    return path.join(this.#root, key);
  }

  /** Nothing is looked for there, since listings find nothing there. */
  #isBehindLink(file: string): Promise<boolean> {
    return isBehindLink(this.#root, path.dirname(file));
  }

  #behindLink(key: string): BackupctlError {
    return new BackupctlError(
      "STORAGE_FAILED",
      `storage "${this.name}" cannot write ${key}: a folder on its way is a link`,
      {
        hint: `Put a folder in the link's place below ${this.#root}, or mount there what it leads to: links are not followed.`,
      },
    );
  }

  async #writePart(directory: string, bytes: Uint8Array): Promise<{ file: string; stats: Stats }> {
    // Directories are made only when missing, and again should a concurrent remove have taken the empty one away.
    for (let attempt = 0; ; attempt++) {
      try {
        return await writePart(directory, bytes);
      } catch (error) {
        if (errnoOf(error) !== "ENOENT" || attempt === 5) throw error;
        await this.#requireSamePlace();
        await makeDirectoryDurably(directory);
      }
    }
  }

  async #acceptExisting(key: string, file: string, bytes: Uint8Array): Promise<StoredObject> {
    if (!(await holdsSameBytes(file, bytes))) {
      throw new BackupctlError("OBJECT_CONFLICT", `storage "${this.name}" holds another ${key} already`, {
        hint: "Objects are never rewritten. If it is damaged, `backupctl verify ID --repair` mends it from another storage's copy; without one remove its backup with `backupctl delete`.",
      });
    }
    const stats = await fs.lstat(file);
    return { key, sizeBytes: stats.size, modifiedAt: stats.mtime };
  }

  async #lstatIfThere(file: string): Promise<Stats | undefined> {
    try {
      return await fs.lstat(file);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.#requireSamePlace();
      return undefined;
    }
  }

  async #openIfThere(file: string): Promise<fs.FileHandle | undefined> {
    try {
      return (await this.#isBehindLink(file)) ? undefined : await openUnlinked(file);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.#requireSamePlace();
      return undefined;
    }
  }

  /** "No such object" is believed only while the root is the directory that was opened: a disk unmounted since looks empty. */
  async #requireSamePlace(): Promise<void> {
    const stats = await fs.stat(this.#root).catch((error: unknown) => {
      if (isMissing(error)) throw notFound(this.name, `${this.#root} has gone away`, error);
      throw error;
    });
    if (stats.dev !== this.#identity.dev || stats.ino !== this.#identity.ino) {
      throw notFound(this.name, `${this.#root} is no longer the directory that was opened`);
    }
  }

  async #doing<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw asStorageError(error, this.name, this.#root, what);
    }
  }
}

async function readRange(handle: fs.FileHandle, size: number, range: ByteRange | undefined): Promise<Buffer> {
  const offset = Math.min(range?.offset ?? 0, size);
  const length = Math.min(range?.length ?? size, size - offset);
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const piece = Math.min(MAX_READ_BYTES, length - filled);
    const { bytesRead } = await handle.read(bytes, filled, piece, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
