import { createHash } from "node:crypto";
import { type BlockBlobClient, type ContainerClient, RestError } from "@azure/storage-blob";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { giveBack } from "../../platform/own-memory.ts";
import { type Connections, keptConnections } from "../network/connections.ts";
import { ForeignAnswer, isPage } from "../network/foreign-answer.ts";
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
import { createClient } from "./client.ts";
import { coldBlobs, isCold } from "./cold.ts";
import { readBody } from "./download.ts";
import { type AzureContainer, asStorageError, codeOf, isTaken } from "./errors.ts";
import { type AzureOptions, azureProblems } from "./options.ts";
import { azureAddress, azurePlace, folderOf } from "./place.ts";
import { probeContainer } from "./probe.ts";
import { unshared } from "./unshared.ts";

const MISSING = new Set(["BlobNotFound", "ResourceNotFound"]);
const PAGE_SIZE = 5000;

/** Opens the container; makes it only if `context.create` is set. @throws `STORAGE_NOT_FOUND` otherwise. */
export async function openAzureStorage(options: AzureOptions, context: StorageContext): Promise<Storage> {
  requireSound(context.name, azureProblems(options));
  const connections = await keptConnections(options.ca_file, context);
  const place = azurePlace(options);
  const client = await createClient(options.container, place, connections);
  const named: AzureContainer = {
    storage: context.name,
    container: options.container,
    peer: place.endpoint,
    sas: place.sas,
  };
  const storage = new AzureStorage(client, connections, named, options);
  try {
    await storage.find(context.create === true);
    return storage;
  } catch (error) {
    connections.close();
    throw error;
  }
}

class AzureStorage implements Storage {
  readonly name: string;
  readonly address: string;
  readonly capabilities = { local: false, exclusiveNames: true };
  readonly cold: Storage["cold"] & {};
  readonly #client: ContainerClient;
  readonly #connections: Connections;
  readonly #place: AzureContainer;
  readonly #root: string;
  readonly #options: AzureOptions;

  constructor(client: ContainerClient, connections: Connections, place: AzureContainer, options: AzureOptions) {
    this.name = place.storage;
    this.address = azureAddress(options);
    this.#client = client;
    this.#connections = connections;
    this.#place = place;
    const folder = folderOf(options);
    this.#root = folder === "" ? "" : `${folder}/`;
    this.#options = options;
    this.cold = coldBlobs({
      options,
      blob: (key) => this.#blob(key),
      doing: (what, given, work) => this.#doing(what, given, work),
    });
  }

  /** Asks for a name, which needs no permission beyond those that backups need. */
  async find(create: boolean): Promise<void> {
    const list = async () => {
      await this.#client.listBlobsFlat({ prefix: this.#root }).byPage({ maxPageSize: 1 }).next();
    };
    try {
      await this.#doing("be opened", {}, list);
    } catch (error) {
      if (!create || !isBackupctlError(error, "STORAGE_NOT_FOUND")) throw error;
      await this.#doing("be made", {}, () => this.#client.createIfNotExists());
    }
  }

  async put(key: string, bytes: Uint8Array, options: OperationOptions = {}): Promise<StoredObject> {
    requireObjectKey(key);
    return await this.#doing(`write ${key}`, options, async (abort) => {
      const content = unshared(bytes);
      const md5 = createHash("md5").update(content).digest();
      const { tier } = this.#options;
      try {
        const { lastModified } = await this.#blob(key).upload(content, content.length, {
          ...abort,
          conditions: { ifNoneMatch: "*" },
          transactionalContentMD5: md5,
          blobHTTPHeaders: { blobContentType: "application/octet-stream" },
          // What is put can be read at once: it is moved to the archive when it was.
          ...(tier === undefined || tier === "Archive" ? {} : { tier }),
        });
        const stored = { key, sizeBytes: content.length, modifiedAt: requireTime(lastModified) };
        // All of it has left: a request that failed may still be sending.
        if (content.buffer !== bytes.buffer) giveBack(content);
        return stored;
      } catch (error) {
        if (!isTaken(error)) throw error;
        return await this.#acceptExisting(key, content, md5, options, error);
      }
    });
  }

  async get(key: string, range?: ByteRange, options: OperationOptions = {}): Promise<Buffer | undefined> {
    requireObjectKey(key);
    return await this.#doing(`read ${key}`, options, async (abort) => {
      // To the service, no bytes are all of them.
      if (range?.length === 0) return (await this.#properties(key, abort)) && Buffer.alloc(0);
      try {
        const answer = await this.#blob(key).download(range?.offset, range?.length, { ...abort, maxRetryRequests: 0 });
        if (isPage(answer.contentType)) throw new ForeignAnswer("it sends a web page");
        return isFolder(answer.metadata) ? undefined : await readBody(answer, range);
      } catch (error) {
        if (codeOf(error) === "InvalidRange") return Buffer.alloc(0);
        if (MISSING.has(codeOf(error))) return undefined;
        throw error;
      }
    });
  }

  async stat(key: string, options: OperationOptions = {}): Promise<StoredObject | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, options, async (abort) => {
      const found = await this.#properties(key, abort);
      return found && { key, sizeBytes: found.sizeBytes, modifiedAt: found.modifiedAt };
    });
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncIterable<StoredObject> {
    const folder = requireFolder(prefix);
    const begin = `${this.#root}${folder === "" ? "" : `${folder}/`}`;
    const doing = `list ${folder === "" ? this.#place.container : folder}`;
    const pages = this.#client
      .listBlobsFlat({ prefix: begin, includeMetadata: true, ...abortOf(options) })
      .byPage({ maxPageSize: PAGE_SIZE });
    for (;;) {
      const page = await this.#doing(doing, options, () => pages.next());
      if (page.done === true) return;
      for (const { name, properties, metadata } of page.value.segment.blobItems) {
        const key = name.slice(this.#root.length);
        if (!name.startsWith(begin) || !key.split("/").every(isObjectName) || isFolder(metadata)) continue;
        const { contentLength, lastModified: modifiedAt } = properties;
        const cold = isCold(this.#options, properties) ? { cold: true } : {};
        yield { key, sizeBytes: requireSize(contentLength), modifiedAt, ...cold };
      }
    }
  }

  async remove(key: string, options: OperationOptions = {}): Promise<void> {
    requireObjectKey(key);
    await this.#doing(`remove ${key}`, options, async (abort) => {
      try {
        await this.#blob(key).delete({ ...abort, deleteSnapshots: "include" });
      } catch (error) {
        if (!MISSING.has(codeOf(error))) throw error;
      }
    });
  }

  /** Of a policy of the whole container, and of a legal hold, the service tells no end. */
  async lockedUntil(key: string, options: OperationOptions = {}): Promise<Date | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, options, async (abort) => {
      return ifToCome((await this.#properties(key, abort))?.lockedUntil);
    });
  }

  /** The service does not tell. */
  async space(): Promise<StorageSpace> {
    return {};
  }

  async *probe(scratch: string, options: OperationOptions = {}): AsyncIterable<ProbeResult> {
    const folder = `${this.#root}${requireFolder(scratch)}/`;
    try {
      yield* probeContainer({ client: this.#client, folder, tier: this.#options.tier, abort: abortOf(options) });
    } catch (error) {
      options.signal?.throwIfAborted();
      throw asStorageError(error, this.#place, "be probed");
    }
  }

  async close(): Promise<void> {
    this.#connections.close();
  }

  #blob(key: string): BlockBlobClient {
    return this.#client.getBlockBlobClient(`${this.#root}${key}`);
  }

  /** Undefined for what is no object. */
  async #properties(key: string, abort: { readonly abortSignal?: AbortSignal }) {
    try {
      const found = await this.#blob(key).getProperties(abort);
      if (isPage(found.contentType)) throw new ForeignAnswer("it sends a web page");
      if (isFolder(found.metadata)) return undefined;
      const { contentMD5, immutabilityPolicyExpiresOn: lockedUntil } = found;
      return {
        sizeBytes: requireSize(found.contentLength),
        modifiedAt: requireTime(found.lastModified),
        ...(contentMD5 === undefined ? {} : { md5: Buffer.from(contentMD5) }),
        ...(lockedUntil === undefined ? {} : { lockedUntil }),
      };
    } catch (error) {
      if (MISSING.has(codeOf(error))) return undefined;
      throw error;
    }
  }

  /**
   * The answer to an earlier try may have been lost: then the name is taken by these very bytes.
   * @throws the refusal that made us look, where there is nothing under the name
   */
  async #acceptExisting(
    key: string,
    bytes: Buffer,
    md5: Buffer,
    options: OperationOptions,
    refusal: unknown,
  ): Promise<StoredObject> {
    const found = await this.#properties(key, abortOf(options));
    if (found === undefined) throw refusal;
    const isSame =
      found.sizeBytes === bytes.length &&
      (found.md5?.equals(md5) ?? (await this.get(key, undefined, options))?.equals(bytes) ?? false);
    if (isSame) return { key, sizeBytes: found.sizeBytes, modifiedAt: found.modifiedAt };
    throw new BackupctlError("OBJECT_CONFLICT", `storage "${this.name}" holds another ${key} already`, {
      hint: "Objects are never rewritten. If it is damaged, `backupctl verify ID --repair` mends it from another storage's copy; without one remove its backup with `backupctl delete`.",
    });
  }

  async #doing<T>(
    what: string,
    options: OperationOptions,
    work: (abort: { readonly abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    options.signal?.throwIfAborted();
    try {
      return await work(abortOf(options));
    } catch (error) {
      options.signal?.throwIfAborted();
      throw asStorageError(error, this.#place, what);
    }
  }
}

function abortOf({ signal }: OperationOptions): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

/** Accounts with a hierarchical namespace show folders as objects of this kind. */
function isFolder(metadata: Readonly<Record<string, string>> | undefined): boolean {
  return metadata?.hdi_isfolder === "true";
}

function requireSize(size: number | undefined): number {
  if (size === undefined) throw new RestError("the answer does not tell an object's size", { statusCode: 502 });
  return size;
}

function requireTime(time: Date | undefined): Date {
  if (time === undefined) throw new RestError("the answer does not tell an object's time", { statusCode: 502 });
  return time;
}
