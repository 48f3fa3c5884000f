import type { Bucket, GetFilesOptions } from "@google-cloud/storage";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { type Connections, keptConnections } from "../network/connections.ts";
import { ifToCome } from "../network/if-to-come.ts";
import { requireSound } from "../network/sound-options.ts";
import { isObjectName, requireFolder, requireObjectKey } from "../object-key.ts";
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
  BrokenAnswer,
  FACTS,
  type ObjectFacts,
  PAGE,
  type Page,
  RETENTION,
  RefusedError,
  toFacts,
  toPage,
  toRetention,
} from "./answers.ts";
import { Client } from "./client.ts";
import { asStorageError, type GcsBucket } from "./errors.ts";
import { type Login, logIn } from "./login.ts";
import { type GcsOptions, gcsProblems } from "./options.ts";
import { endpointOf, folderOf, gcsAddress } from "./place.ts";
import { probeBucket } from "./probe.ts";
import { md5Of, upload } from "./upload.ts";

const PAGE_SIZE = 1000;

/** Opens the bucket; makes it only if `context.create` is set and there is a `location`. @throws `STORAGE_NOT_FOUND` otherwise. */
export async function openGcsStorage(options: GcsOptions, context: StorageContext): Promise<Storage> {
  requireSound(context.name, gcsProblems(options));
  const connections = await keptConnections(options.ca_file, context);
  try {
    const storage = new GcsStorage(context.name, options, logIn(options, connections, context), connections);
    await storage.find(context.create === true);
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
  readonly #login: Login;
  readonly #connections: Connections;
  readonly #place: GcsBucket;
  readonly #root: string;

  constructor(name: string, options: GcsOptions, login: Login, connections: Connections) {
    this.name = name;
    this.address = gcsAddress(options);
    this.#options = options;
    this.#login = login;
    this.#connections = connections;
    this.#place = { storage: name, bucket: options.bucket, peer: endpointOf(options) };
    const folder = folderOf(options);
    this.#root = folder === "" ? "" : `${folder}/`;
  }

  /** Asks for a name, which needs no permission beyond those that backups need. */
  async find(create: boolean): Promise<void> {
    try {
      await this.#doing("be opened", {}, (bucket) => this.#requireBucket(bucket));
    } catch (error) {
      const { location } = this.#options;
      if (!create || location === undefined || !isBackupctlError(error, "STORAGE_NOT_FOUND")) throw error;
      await this.#doing("be made", {}, (bucket) => this.#make(bucket, location));
    }
  }

  async put(key: string, bytes: Uint8Array, options: OperationOptions = {}): Promise<StoredObject> {
    requireObjectKey(key);
    return await this.#doing(`write ${key}`, options, async (bucket) => {
      const md5Hash = md5Of(bytes);
      try {
        const metadata = await upload(bucket, this.#options, { name: this.#nameOf(key), bytes, md5Hash });
        return storedAs(key, toFacts(metadata));
      } catch (error) {
        if (!isRefused(error, 412, 409)) throw error;
        return await this.#acceptExisting(bucket, key, bytes, md5Hash, options, error);
      }
    });
  }

  async get(key: string, range?: ByteRange, options: OperationOptions = {}): Promise<Buffer | undefined> {
    requireObjectKey(key);
    return await this.#doing(`read ${key}`, options, async (bucket) => {
      // A range of no bytes can't be written down.
      if (range?.length === 0) return (await this.#facts(bucket, key)) && Buffer.alloc(0);
      const wanted = range && { start: range.offset, end: range.offset + range.length - 1 };
      try {
        return await this.#unlessMissing(bucket, async () => {
          const file = bucket.file(this.#nameOf(key));
          const [bytes] = await file.download({ ...wanted, validation: false, decompress: false });
          return bytes;
        });
      } catch (error) {
        // The object has not even the first of them.
        if (isRefused(error, 416)) return Buffer.alloc(0);
        throw error;
      }
    });
  }

  async stat(key: string, options: OperationOptions = {}): Promise<StoredObject | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, options, async (bucket) => {
      const facts = await this.#facts(bucket, key);
      return facts && storedAs(key, facts);
    });
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncIterable<StoredObject> {
    const folder = requireFolder(prefix);
    const begin = `${this.#root}${folder === "" ? "" : `${folder}/`}`;
    const doing = `list ${folder === "" ? this.#place.bucket : folder}`;
    let pageToken: string | undefined;
    do {
      const asked = pageToken === undefined ? {} : { pageToken };
      const page = await this.#doing(doing, options, (bucket) => pageOf(bucket, { prefix: begin, ...asked }));
      for (const facts of page.items) {
        const key = facts.name.slice(this.#root.length);
        if (facts.name.startsWith(begin) && key.split("/").every(isObjectName)) yield storedAs(key, facts);
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
  }

  async remove(key: string, options: OperationOptions = {}): Promise<void> {
    requireObjectKey(key);
    await this.#doing(`remove ${key}`, options, (bucket) =>
      this.#unlessMissing(bucket, () => bucket.file(this.#nameOf(key)).delete()),
    );
  }

  async lockedUntil(key: string, options: OperationOptions = {}): Promise<Date | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, options, (bucket) =>
      this.#unlessMissing(bucket, async () => {
        const [metadata] = await bucket.file(this.#nameOf(key)).getMetadata({ fields: RETENTION });
        return ifToCome(toRetention(metadata));
      }),
    );
  }

  /** The service does not tell. */
  async space(): Promise<StorageSpace> {
    return {};
  }

  async *probe(scratch: string, { signal }: OperationOptions = {}): AsyncIterable<ProbeResult> {
    const folder = this.#nameOf(`${requireFolder(scratch)}/`);
    try {
      yield* probeBucket({ bucket: this.#bucket(signal), options: this.#options, folder });
    } catch (error) {
      signal?.throwIfAborted();
      throw asStorageError(error, this.#place, "be probed");
    }
  }

  async close(): Promise<void> {
    this.#connections.close();
  }

  /** @param signal ends whatever is asked of it */
  #bucket(signal: AbortSignal | undefined): Bucket {
    return new Client(this.#login, this.#place.peer, signal).bucket(this.#options.bucket);
  }

  #nameOf(key: string): string {
    return `${this.#root}${key}`;
  }

  async #requireBucket(bucket: Bucket): Promise<void> {
    await pageOf(bucket, { prefix: this.#root, maxResults: 1 });
  }

  async #make({ storage, name }: Bucket, location: string): Promise<void> {
    if (this.#login.project === undefined) {
      throw new BackupctlError("CONFIG_INVALID", `storage "${this.name}": a new bucket needs a project`, {
        hint: "Give `project`, or credentials of a service account.",
      });
    }
    await storage.createBucket(name, {
      location,
      iamConfiguration: { uniformBucketLevelAccess: { enabled: true }, publicAccessPrevention: "enforced" },
    });
  }

  async #facts(bucket: Bucket, key: string): Promise<ObjectFacts | undefined> {
    return await this.#unlessMissing(bucket, async () => {
      const [metadata] = await bucket.file(this.#nameOf(key)).getMetadata({ fields: FACTS });
      return toFacts(metadata);
    });
  }

  /** Undefined for a missing object; an error for a missing bucket, which the service tells in the same way. */
  async #unlessMissing<T>(bucket: Bucket, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!isRefused(error, 404)) throw error;
      await this.#requireBucket(bucket);
      return undefined;
    }
  }

  /**
   * The answer to an earlier try may have been lost: then the name is taken by these very bytes.
   * @throws the refusal that made us look, where there is nothing under the name
   */
  async #acceptExisting(
    bucket: Bucket,
    key: string,
    bytes: Uint8Array,
    md5: string,
    options: OperationOptions,
    refusal: unknown,
  ): Promise<StoredObject> {
    const found = await this.#facts(bucket, key);
    if (found === undefined) throw refusal;
    const isSame =
      found.sizeBytes === bytes.length &&
      (found.md5 === undefined ? await this.#holds(key, bytes, options) : found.md5 === md5);
    if (isSame) return storedAs(key, found);
    throw new BackupctlError("OBJECT_CONFLICT", `storage "${this.name}" holds another ${key} already`, {
      hint: "Objects are never rewritten. If it is damaged, `backupctl verify ID --repair` mends it from another storage's copy; without one remove its backup with `backupctl delete`.",
    });
  }

  async #holds(key: string, bytes: Uint8Array, options: OperationOptions): Promise<boolean> {
    return (await this.get(key, undefined, options))?.equals(bytes) ?? false;
  }

  async #doing<T>(what: string, { signal }: OperationOptions, work: (bucket: Bucket) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await work(this.#bucket(signal));
    } catch (error) {
      signal?.throwIfAborted();
      throw asStorageError(error, this.#place, what);
    }
  }
}

async function pageOf(bucket: Bucket, query: GetFilesOptions): Promise<Page> {
  const [, , answer] = await bucket.getFiles({ fields: PAGE, maxResults: PAGE_SIZE, ...query });
  const page = toPage(answer);
  if (page.nextPageToken !== undefined && page.nextPageToken === query.pageToken) {
    throw new BrokenAnswer("the listing goes round in circles");
  }
  return page;
}

function storedAs(key: string, { sizeBytes, createdAt }: ObjectFacts): StoredObject {
  return { key, sizeBytes, modifiedAt: createdAt };
}

function isRefused(error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof RefusedError && statuses.includes(error.status);
}
