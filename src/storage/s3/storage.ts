import { hash } from "node:crypto";
import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  type S3Client,
} from "@aws-sdk/client-s3";
import { BackupctlError } from "../../errors.ts";
import { ifToCome } from "../network/if-to-come.ts";
import { requireSound } from "../network/sound-options.ts";
import { requireFolder, requireObjectKey } from "../object-key.ts";
import type {
  ByteRange,
  OperationOptions,
  ProbeResult,
  PutOptions,
  Storage,
  StorageContext,
  StorageSpace,
  StoredObject,
} from "../storage.ts";
import { folderOf, isAmazon, s3Address } from "./address.ts";
import { readBody } from "./body.ts";
import { abortedBy, createClient } from "./client.ts";
import { coldObjects } from "./cold.ts";
import { asStorageError, type S3Place, statusOf } from "./errors.ts";
import { listObjects, requireListing } from "./listing.ts";
import { type S3Options, s3Problems } from "./options.ts";
import { probeService } from "./probe.ts";
import { type Content, upload, withoutLock } from "./upload.ts";

/** Opens the bucket; makes it only if `context.create` is set. @throws `STORAGE_NOT_FOUND` otherwise. */
export async function openS3Storage(options: S3Options, context: StorageContext): Promise<Storage> {
  requireSound(context.name, s3Problems(options));
  const client = await createClient(options, context);
  const storage = new S3Storage(client, options, context);
  try {
    await storage.open(context.create === true);
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

class S3Storage implements Storage {
  readonly name: string;
  readonly address: string;
  readonly capabilities: Storage["capabilities"];
  readonly cold: Storage["cold"] & {};
  readonly #client: S3Client;
  readonly #options: S3Options;
  /** How objects are put. */
  readonly #puts: S3Options;
  readonly #place: S3Place;
  /** What all our keys begin with: `""`, or a folder and a slash. */
  readonly #root: string;
  /** Ask the service to refuse a name that is taken. Not all know how, and some don't say that they don't. */
  #asksIfFree: boolean;

  constructor(client: S3Client, options: S3Options, { name, scratch }: StorageContext) {
    this.name = name;
    this.address = s3Address(options);
    this.#client = client;
    this.#options = options;
    this.#puts = scratch === true ? withoutLock(options) : options;
    const { bucket, endpoint, conditional_writes: conditional } = options;
    this.#place = { storage: name, bucket, peer: endpoint ?? "Amazon S3", locks: options.object_lock !== undefined };
    const folder = folderOf(options);
    this.#root = folder === "" ? "" : `${folder}/`;
    this.#asksIfFree = conditional !== false;
    this.capabilities = {
      local: false,
      exclusiveNames: conditional === true || (conditional === "auto" && isAmazon(options)),
      hidesLocked: true,
    };
    this.cold = coldObjects({
      ...{ client, options },
      object: (key) => this.#object(key),
      doing: (what, signal, work) => this.#doing(what, signal, work),
    });
  }

  async open(create: boolean): Promise<void> {
    await this.#doing("be opened", undefined, async () => {
      try {
        await this.#requireBucket();
      } catch (error) {
        if (!create || !(error instanceof Error && error.name === "NoSuchBucket")) throw error;
        await this.#createBucket();
      }
    });
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<StoredObject> {
    requireObjectKey(key);
    const { signal, sha256 = hash("sha256", bytes) } = options;
    return await this.#doing(`write ${key}`, signal, async () => {
      if (!this.capabilities.exclusiveNames) {
        const there = await this.#head(key, signal);
        if (there !== undefined) return await this.#acceptExisting(there, { bytes, sha256 }, signal);
      }
      const modifiedAt = await this.#upload(key, { bytes, sha256 }, signal);
      if (modifiedAt !== undefined) return { key, sizeBytes: bytes.length, modifiedAt, sha256 };
      const there = await this.#head(key, signal);
      if (there !== undefined) return await this.#acceptExisting(there, { bytes, sha256 }, signal);
      throw new BackupctlError("STORAGE_FAILED", `storage "${this.name}" cannot write ${key}: someone else does`, {
        retryable: true,
      });
    });
  }

  async get(key: string, range?: ByteRange, options: OperationOptions = {}): Promise<Buffer | undefined> {
    requireObjectKey(key);
    if (range?.length === 0) return (await this.stat(key, options)) && Buffer.alloc(0);
    return await this.#doing(`read ${key}`, options.signal, () => this.#read(key, range, options.signal));
  }

  async stat(key: string, { signal }: OperationOptions = {}): Promise<StoredObject | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, signal, async () => {
      const object = await this.#head(key, signal);
      // "No such object" is the same answer as "no such bucket".
      if (object === undefined) await this.#requireBucket(signal);
      return object;
    });
  }

  async *list(prefix: string, { signal }: OperationOptions = {}): AsyncIterable<StoredObject> {
    const folder = requireFolder(prefix);
    const { name: storage } = this;
    const { bucket } = this.#options;
    try {
      const listing = { storage, bucket, root: this.#root, folder: folder === "" ? "" : `${folder}/` };
      yield* listObjects(this.#client, listing, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw asStorageError(error, this.#place, `list ${folder === "" ? this.address : folder}`);
    }
  }

  async remove(key: string, { signal }: OperationOptions = {}): Promise<void> {
    requireObjectKey(key);
    await this.#doing(`remove ${key}`, signal, async () => {
      try {
        await this.#client.send(new DeleteObjectCommand(this.#object(key)), abortedBy(signal));
      } catch (error) {
        if (isMissingObject(error)) return;
        if (statusOf(error) === 403) await this.#requireUnlocked(key, error, signal);
        throw error;
      }
    });
  }

  async lockedUntil(key: string, { signal }: OperationOptions = {}): Promise<Date | undefined> {
    requireObjectKey(key);
    return await this.#doing(`look at ${key}`, signal, async () => {
      try {
        const facts = await this.#client.send(new HeadObjectCommand(this.#object(key)), abortedBy(signal));
        return ifToCome(facts.ObjectLockRetainUntilDate);
      } catch (error) {
        if (isMissingObject(error)) return undefined;
        throw error;
      }
    });
  }

  /** A bucket has no size of its own. */
  async space(): Promise<StorageSpace> {
    return {};
  }

  async *probe(scratch: string, { signal }: OperationOptions = {}): AsyncIterable<ProbeResult> {
    const folder = `${this.#root}${requireFolder(scratch)}/`;
    try {
      yield* probeService({ client: this.#client, options: this.#options, folder, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw asStorageError(error, this.#place, "be probed");
    }
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  #object(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: `${this.#root}${key}` };
  }

  /** The cheapest request whose failure says why: answers to HEAD have no body. */
  async #requireBucket(signal?: AbortSignal): Promise<void> {
    const { bucket } = this.#options;
    const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: this.#root, MaxKeys: 1 });
    requireListing(await this.#client.send(command, abortedBy(signal)));
  }

  async #createBucket(): Promise<void> {
    const { bucket, object_lock } = this.#options;
    const region = await this.#client.config.region();
    // The one region that must not be named.
    const elsewhere = isAmazon(this.#options) && region !== "us-east-1";
    try {
      await this.#client.send(
        new CreateBucketCommand({
          Bucket: bucket,
          ...(elsewhere
            ? { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } }
            : {}),
          ...(object_lock === undefined ? {} : { ObjectLockEnabledForBucket: true }),
        }),
      );
    } catch (error) {
      if (!(error instanceof Error && error.name === "BucketAlreadyOwnedByYou")) throw error;
    }
  }

  /** @returns when it was stored, or undefined where the service says that the name is taken */
  async #upload(key: string, content: Content, signal: AbortSignal | undefined): Promise<Date | undefined> {
    const { Bucket: bucket, Key } = this.#object(key);
    const ifFree = this.#asksIfFree;
    try {
      return await upload(this.#client, this.#puts, { ...content, bucket, key: Key, ifFree }, signal);
    } catch (error) {
      const status = statusOf(error);
      if (ifFree && (status === 412 || status === 409)) return undefined;
      if (!ifFree || status !== 501 || this.capabilities.exclusiveNames) throw error;
      // It does not know the question. That the name was free a moment ago is all that can be had.
      this.#asksIfFree = false;
      return await this.#upload(key, content, signal);
    }
  }

  async #acceptExisting(there: StoredObject, content: Content, signal: AbortSignal | undefined): Promise<StoredObject> {
    if (there.sizeBytes === content.bytes.length && (await this.#holds(there, content, signal))) return there;
    throw new BackupctlError("OBJECT_CONFLICT", `storage "${this.name}" holds another ${there.key} already`, {
      hint: "Objects are never rewritten. If it is damaged, `backupctl verify ID --repair` mends it from another storage's copy; without one remove its backup with `backupctl delete`.",
    });
  }

  async #holds(there: StoredObject, { bytes, sha256 }: Content, signal: AbortSignal | undefined): Promise<boolean> {
    if (there.sha256 !== undefined) return there.sha256 === sha256;
    const held = await this.#read(there.key, { offset: 0, length: Math.max(1, bytes.length) }, signal);
    return held?.equals(bytes) === true;
  }

  async #head(key: string, signal: AbortSignal | undefined): Promise<StoredObject | undefined> {
    try {
      const command = new HeadObjectCommand({
        ...this.#object(key),
        ...(this.#options.checksums === "default" ? { ChecksumMode: "ENABLED" } : {}),
      });
      return this.#stored(key, await this.#client.send(command, abortedBy(signal)));
    } catch (error) {
      const status = statusOf(error) ?? 0;
      if (status === 404) return undefined;
      if (status >= 300 && status < 500) await this.#requireBucket(signal);
      throw error;
    }
  }

  #stored(key: string, { ContentLength, LastModified, ChecksumSHA256 }: HeadObjectCommandOutput): StoredObject {
    if (ContentLength === undefined || LastModified === undefined) {
      throw new BackupctlError("STORAGE_FAILED", `storage "${this.name}" does not tell the size and time of ${key}`);
    }
    // Of an object in parts it is the checksum of checksums, with their number behind it.
    const sha256 = ChecksumSHA256?.includes("-") === false ? Buffer.from(ChecksumSHA256, "base64").toString("hex") : "";
    return { key, sizeBytes: ContentLength, modifiedAt: LastModified, ...(sha256 === "" ? {} : { sha256 }) };
  }

  async #read(key: string, range: ByteRange | undefined, signal: AbortSignal | undefined): Promise<Buffer | undefined> {
    try {
      const command = new GetObjectCommand({ ...this.#object(key), ...rangeOf(range) });
      return await readBody(await this.#client.send(command, abortedBy(signal)), range);
    } catch (error) {
      if (isMissingObject(error)) return undefined;
      if (range !== undefined && statusOf(error) === 416) return Buffer.alloc(0);
      throw error;
    }
  }

  /** What is locked looks like what is not permitted. */
  async #requireUnlocked(key: string, cause: unknown, signal: AbortSignal | undefined): Promise<void> {
    const until = await this.lockedUntil(key, signal === undefined ? {} : { signal }).catch(() => undefined);
    if (until === undefined) return;
    throw new BackupctlError(
      "RETENTION_POLICY_VIOLATION",
      `storage "${this.name}" does not let ${key} be removed: it is locked until ${until.toISOString()}`,
      { cause, hint: "Delete the backup after that time. Who may shorten a governance lock can do so at the service." },
    );
  }

  async #doing<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw asStorageError(error, this.#place, what);
    }
  }
}

function rangeOf(range: ByteRange | undefined): { readonly Range?: string } {
  return range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
}

function isMissingObject(error: unknown): boolean {
  return statusOf(error) === 404 && error instanceof Error && error.name !== "NoSuchBucket";
}
