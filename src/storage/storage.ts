import type { BackupctlError } from "../errors.ts";

/**
 * The storage port: named objects, written once, read whole or in ranges.
 *
 * Guarantees that every adapter gives (each has a test of the same words in test/suites/storage-suite.ts):
 * - an object becomes visible whole or not at all, under its final name, only after `put` has its bytes durable;
 * - a name is never overwritten: `put` of the same bytes again is success, of others `OBJECT_CONFLICT`;
 * - what `put` has acknowledged, `list`, `stat` and `get` see at once;
 * - `list` returns every object below the prefix or throws, never a part; leavings of unfinished puts are not listed;
 * - `remove` of a name that does not exist is success.
 *
 * Keys are relative paths of `/`-separated names matching `[A-Za-z0-9._-]+`, without empty, `.` or `..` members.
 * Failures are `BackupctlError`: `STORAGE_FAILED` (retryable where another try may help), `STORAGE_DENIED` (the login is wrong, or
 * may not do this), `RETENTION_POLICY_VIOLATION` (nobody may remove this for a time), `CLOCK_SKEWED` (the service refuses this host's
 * time), `INSUFFICIENT_STORAGE` (full, or a quota is reached), `OBJECT_CONFLICT`, `STORAGE_NOT_FOUND` (the place itself is missing),
 * `OBJECT_COLD` (the object has to be thawed before it can be read).
 * A missing object is `undefined`, never an error.
 */
export interface Storage {
  /** The name of this storage in the configuration. */
  readonly name: string;
  /** Where it is, without secrets, the same for the same place however it was spelt, e.g. `local:/var/backups/site`. */
  readonly address: string;
  readonly capabilities: StorageCapabilities;

  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<StoredObject>;
  /**
   * The bytes from `offset`, `length` of them; fewer only where the object ends. Without a range all: who does not know how large an
   * object is may not ask for that, since it can have grown to any size.
   */
  get(key: string, range?: ByteRange, options?: OperationOptions): Promise<Buffer | undefined>;
  stat(key: string, options?: OperationOptions): Promise<StoredObject | undefined>;
  /** All objects whose key starts with the folder `prefix` (`""`: all), in no particular order. */
  list(prefix: string, options?: OperationOptions): AsyncIterable<StoredObject>;
  remove(key: string, options?: OperationOptions): Promise<void>;
  /** Bytes used and free where the place can tell. */
  space(options?: OperationOptions): Promise<StorageSpace>;
  /**
   * Only where the configuration wants what is removed to be overwritten: why that leaves it readable here, in words that a sentence can begin
   * with; `undefined` where nothing speaks against it.
   */
  overwritingFails?(): Promise<string | undefined>;
  /**
   * Only where objects can be kept from everybody for a time: until when nobody may remove this one; `undefined` where somebody may.
   */
  lockedUntil?(key: string, options?: OperationOptions): Promise<Date | undefined>;
  /** Where objects can lie cold: cheap to keep, and not to be read before the service was asked for them. */
  readonly cold?: ColdObjects;
  /**
   * What only this type can be asked, tried with real requests: for `storage check`. Objects that it puts below the folder `scratch` stay;
   * who asks removes them.
   */
  probe?(scratch: string, options?: OperationOptions): AsyncIterable<ProbeResult>;
  close(): Promise<void>;
}

export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** By the storage's own clock. */
  readonly modifiedAt: Date;
  /** SHA-256 in hex, where the service knows it. */
  readonly sha256?: string;
  /** By a listing: it lies in a cold class. Whether it can be read all the same only `warmth` tells. */
  readonly cold?: boolean;
}

/** Each call may be repeated: what is as it is wanted stays so. */
export interface ColdObjects {
  /**
   * Moves an object to the cold class that the configuration names; absent where it names none. Its bytes stay the same, and one that
   * was thawed to be read is left alone for as long as it is to be readable.
   */
  freeze?(key: string, options?: OperationOptions): Promise<void>;
  /** Asks for an object; it can be read after hours. */
  thaw(key: string, options?: OperationOptions): Promise<void>;
  warmth(key: string, options?: OperationOptions): Promise<Warmth>;
}

export interface Warmth {
  /** `thawing`: it was asked for. `ready`: it can be read. */
  readonly state: "frozen" | "thawing" | "ready";
  /** How long it takes at most from when it is asked for, by what the service promises. */
  readonly thawMs: number;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface OperationOptions {
  readonly signal?: AbortSignal;
  /** Called before each wait for another try, by storages that try again. */
  readonly onRetry?: (retry: Retry) => void;
}

export interface PutOptions extends OperationOptions {
  /** SHA-256 of the bytes, in hex, where the caller has it: an adapter that needs it does not hash them again. */
  readonly sha256?: string;
}

export interface Retry {
  readonly error: BackupctlError;
  readonly waitMs: number;
}

export interface ProbeResult {
  /** What was tried, e.g. `checksum trailers`. */
  readonly what: string;
  readonly outcome: "works" | "fails" | "absent";
  /** What was seen, in a few words. */
  readonly detail?: string;
  /** What to write into the storage's config because of it, e.g. `checksums: when_required`. */
  readonly setting?: string;
}

export interface StorageSpace {
  readonly freeBytes?: number;
  readonly totalBytes?: number;
  /** The configuration's, where that and not the place leaves no more than `freeBytes`. */
  readonly quotaBytes?: number;
}

export interface StorageCapabilities {
  /** Objects lie as ordinary files on this host; reading a range costs no round trip. */
  readonly local: boolean;
  /** Of two writers of one name at the same moment the second is refused. Where false, each may be told that it succeeded. */
  readonly exclusiveNames: boolean;
  /** What is locked can be removed all the same: it is hidden, and stays as an old version. Else nobody can remove it. */
  readonly hidesLocked?: boolean;
}

/** One line of the registry: how a storage of this type is configured and opened. */
export interface StorageDefinition<Options = unknown> {
  readonly type: string;
  /** On this host: by default nothing is tried again, and any number of calls run at once. */
  readonly isLocal?: boolean;
  /** Its service can keep objects from everybody for a time: what is opened has `lockedUntil`. */
  readonly knowsLocks?: boolean;
  /** A zod object schema of the options beside `type` and `role`; imported by the configuration only. */
  readonly options: () => Promise<unknown>;
  /** What is wrong with options, secrets among them, that satisfy the schema each for itself. */
  readonly rules?: () => Promise<
    (
      options: Options,
      beside: { readonly role?: unknown },
    ) => readonly { readonly path: readonly string[]; readonly message: string }[]
  >;
  readonly address: (options: Options) => Promise<string>;
  /** The folder on this host, without symlinks, in which all of it lies; `undefined` for one that lies elsewhere. */
  readonly folder?: (options: Options) => Promise<string | undefined>;
  /** Opens an existing place; throws `STORAGE_NOT_FOUND` if it is not there and `create` is not set. */
  readonly open: (options: Options, context: StorageContext) => Promise<Storage>;
}

export interface StorageContext {
  readonly name: string;
  /** Make the place if it does not exist (`init` only). */
  readonly create?: boolean;
  /** What is put will be removed again: nothing may be done with it that keeps it there, such as a lock. */
  readonly scratch?: boolean;
  /** A connection over which nothing has moved for so long is cut, and the call fails as retryable. */
  readonly stallTimeoutMs?: number;
}
