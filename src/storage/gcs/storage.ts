import { createHash } from "node:crypto";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { type Connections, keptConnections } from "../connections.ts";
import { isObjectName, requireFolder, requireObjectKey } from "../object-key.ts";
import { requireSound } from "../sound-options.ts";
import type { ByteRange, OperationOptions, Storage, StorageContext, StorageSpace, StoredObject } from "../storage.ts";
import { asStorageError, type GcsBucket } from "./errors.ts";
import { type Login, logIn } from "./login.ts";
import { type GcsOptions, gcsProblems } from "./options.ts";
import { endpointOf, folderOf, gcsAddress } from "./place.ts";
import { bytesOf, GcsService, type ObjectFacts, RefusedError } from "./service.ts";

/** Opens the bucket; makes it only if `context.create` is set and there is a `location`. @throws `STORAGE_NOT_FOUND` otherwise. */
export async function openGcsStorage(options: GcsOptions, context: StorageContext): Promise<Storage> {
  requireSound(context.name, gcsProblems(options));
  const connections = await keptConnections(options.ca_file, context);
  try {
    const login = logIn(options, connections, context);
    const service = new GcsService(login.send, endpointOf(options), options.bucket);
    const storage = new GcsStorage(context.name, options, service, connections);
    await storage.find(context.create === true ? login : undefined);
    return storage;
  } catch (error) {
    connections.close();
    throw error;
  }
}

class GcsStorage implements Storage {
  readonly name: string;
  readonly address: string;
  readonly capabilities = { local: false, exclusiveNames: true };
  readonly #options: GcsOptions;
  readonly #service: GcsService;
  readonly #connections: Connections;
  readonly #place: GcsBucket;
  readonly #root: string;

  constructor(name: string, options: GcsOptions, service: GcsService, connections: Connections) {
    this.name = name;
    this.address = gcsAddress(options);
    this.#options = options;
    this.#service = service;
    this.#connections = connections;
    this.#place = { storage: name, bucket: options.bucket, peer: endpointOf(options) };
    const folder = folderOf(options);
    this.#root = folder === "" ? "" : `${folder}/`;
  }

  /** Asks for a name, which needs no permission beyond those that backups need. */
  async find(maker: Login | undefined): Promise<void> {
    try {
      await this.#doing("be opened", {}, () => this.#requireBucket());
    } catch (error) {
      const { location } = this.#options;
      if (maker === undefined || location === undefined || !isBackupctlError(error, "STORAGE_NOT_FOUND")) throw error;
      await this.#doing("be made", {}, () => this.#make(location, maker.project));
    }
  }

  async put(key: string, bytes: Uint8Array, options: OperationOptions = {}): Promise<StoredObject> {
    requireObjectKey(key);
    return await this.#doing(`write ${key}`, options, async (signal) => {
      const md5Hash = createHash("md5").update(bytes).digest("base64");
      const { storage_class: storageClass, kms_key } = this.#options;
      const metadata = { name: this.#nameOf(key), md5Hash, ...(storageClass === undefined ? {} : { storageClass }) };
      try {
        const facts = await this.#service.insert(metadata, bytes, kms_key, signal);
        return storedAs(key, facts);
      } catch (error) {
        if (!isRefused(error, 412, 409)) throw error;
        return await this.#acceptExisting(key, bytes, md5Hash, options, error);
      }
    });
  }

  async get(key: string, range?: ByteRange, options: OperationOptions = {}): Promise<Buffer | undefined> {
    requireObjectKey(key);
    return await this.#doing(`read ${key}`, options, async (signal) => {
      // A range of no bytes can't be written down.
      if (range?.length === 0) return (await this.#facts(key, signal)) && Buffer.alloc(0);
      const wanted = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
      try {
        return await this.#unlessMissing(
          async () => bytesOf(await this.#service.read(this.#nameOf(key), wanted, signal), range),
          signal,
        );
      } catch (error) {
        if (isRefused(error, 416)) return Buffer.alloc(0);
        throw error;
      }
    });
  }

  async stat(key: string, options: OperationOptions = {}): Promise<StoredObject | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, options, async (signal) => {
      const facts = await this.#facts(key, signal);
      return facts && storedAs(key, facts);
    });
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncIterable<StoredObject> {
    const folder = requireFolder(prefix);
    const begin = `${this.#root}${folder === "" ? "" : `${folder}/`}`;
    const doing = `list ${folder === "" ? this.#place.bucket : folder}`;
    let token: string | undefined;
    do {
      const asked = token;
      const page = await this.#doing(doing, options, (signal) => this.#service.page(begin, asked, signal));
      for (const facts of page.objects) {
        const key = facts.name.slice(this.#root.length);
        if (facts.name.startsWith(begin) && key.split("/").every(isObjectName)) yield storedAs(key, facts);
      }
      token = page.next;
    } while (token !== undefined);
  }

  async remove(key: string, options: OperationOptions = {}): Promise<void> {
    requireObjectKey(key);
    await this.#doing(`remove ${key}`, options, (signal) =>
      this.#unlessMissing(() => this.#service.remove(this.#nameOf(key), signal), signal),
    );
  }

  /** The service does not tell. */
  async space(): Promise<StorageSpace> {
    return {};
  }

  async close(): Promise<void> {
    this.#connections.close();
  }

  #nameOf(key: string): string {
    return `${this.#root}${key}`;
  }

  async #requireBucket(signal?: AbortSignal): Promise<void> {
    await this.#service.page(this.#root, undefined, signal, "1");
  }

  async #make(location: string, project: string | undefined): Promise<void> {
    if (project === undefined) {
      throw new BackupctlError("CONFIG_INVALID", `storage "${this.name}": a new bucket needs a project`, {
        hint: "Give `project`, or credentials of a service account.",
      });
    }
    const bucket = {
      name: this.#options.bucket,
      location,
      iamConfiguration: { uniformBucketLevelAccess: { enabled: true }, publicAccessPrevention: "enforced" },
    };
    await this.#service.makeBucket(bucket, project);
  }

  async #facts(key: string, signal: AbortSignal | undefined): Promise<ObjectFacts | undefined> {
    return await this.#unlessMissing(() => this.#service.facts(this.#nameOf(key), signal), signal);
  }

  /** Undefined for a missing object; an error for a missing bucket, which the service tells in the same way. */
  async #unlessMissing<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!isRefused(error, 404)) throw error;
      await this.#requireBucket(signal);
      return undefined;
    }
  }

  /**
   * The answer to an earlier try may have been lost: then the name is taken by these very bytes.
   * @throws the refusal that made us look, where there is nothing under the name
   */
  async #acceptExisting(
    key: string,
    bytes: Uint8Array,
    md5: string,
    options: OperationOptions,
    refusal: unknown,
  ): Promise<StoredObject> {
    const found = await this.#facts(key, options.signal);
    if (found === undefined) throw refusal;
    const isSame =
      found.sizeBytes === bytes.length &&
      (found.md5 === undefined ? await this.#holds(key, bytes, options) : found.md5 === md5);
    if (isSame) return storedAs(key, found);
    throw new BackupctlError("OBJECT_CONFLICT", `storage "${this.name}" holds another ${key} already`, {
      hint: "Objects are never rewritten. If it is damaged, remove its backup with `backupctl delete`.",
    });
  }

  async #holds(key: string, bytes: Uint8Array, options: OperationOptions): Promise<boolean> {
    return (await this.get(key, undefined, options))?.equals(bytes) ?? false;
  }

  async #doing<T>(
    what: string,
    { signal }: OperationOptions,
    work: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await work(signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw asStorageError(error, this.#place, what);
    }
  }
}

function storedAs(key: string, { sizeBytes, createdAt }: ObjectFacts): StoredObject {
  return { key, sizeBytes, modifiedAt: createdAt };
}

function isRefused(error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof RefusedError && statuses.includes(error.status);
}
