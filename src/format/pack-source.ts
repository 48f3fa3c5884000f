import type { BackupId } from "../domain/backup.ts";
import { isBackupctlError } from "../errors.ts";

/** Where stored bytes come from: one copy of a backup, behind which there may be others. */
export interface PackSource {
  /**
   * `length` bytes at `offset` of an object in the directory of a backup; fewer, or `undefined`, where they are not there.
   * Their memory is the caller's, who gives it back.
   */
  get(origin: BackupId, objectName: string, offset: number, length: number): Promise<Buffer | undefined>;
  /** The data key of that backup; `undefined` if it is not encrypted. */
  dataKey(origin: BackupId): Promise<Buffer | undefined>;
  /**
   * The next copy, to be asked for the same object when what this one has of it is damaged or missing, or can't be had. `undefined` if
   * there is none, or if another copy would not help against such an error.
   */
  otherwise?(error: unknown): PackSource | undefined;
  /** Is told that another copy had what this one has not, for this reason. */
  replaced?(error: unknown): void;
}

/** Damaged or missing stored bytes, with the object that they should be in. */
export class StoredDamage extends Error {
  override readonly name = "StoredDamage";
  readonly origin: BackupId;
  readonly objectName: string;
  /** Of the copy that it was met in, where there are several. */
  storageName: string | undefined;
  /** What is wrong with the other copies, where none is sound. */
  readonly elsewhere: StoredDamage[] = [];

  constructor(origin: BackupId, objectName: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.origin = origin;
    this.objectName = objectName;
  }
}

/**
 * What `read` makes of the first copy that is sound. It must have no effect before it has proven what it read.
 * @throws what it threw: the damage that was met first, which says more than another copy that is away
 */
export async function fromSoundCopy<T>(source: PackSource, read: (copy: PackSource) => Promise<T>): Promise<T> {
  try {
    return await read(source);
  } catch (error) {
    return fromOtherCopy(source, error, read);
  }
}

/** As `fromSoundCopy`, where this copy turned out not to be. */
export async function fromOtherCopy<T>(
  source: PackSource,
  error: unknown,
  read: (copy: PackSource) => Promise<T>,
): Promise<T> {
  const next = source.otherwise?.(error);
  if (next === undefined) throw error;
  const found = await fromSoundCopy(next, read).catch((other: unknown) => {
    throw whatSaysMost(error, other);
  });
  source.replaced?.(error);
  return found;
}

function whatSaysMost(error: unknown, other: unknown): unknown {
  if (isBackupctlError(other, "INTERRUPTED")) return other;
  if (error instanceof StoredDamage) {
    if (other instanceof StoredDamage && other !== error) error.elsewhere.push(other, ...other.elsewhere);
    return error;
  }
  // A copy that was never there explains nothing.
  return isBackupctlError(other, "BACKUP_NOT_FOUND") ? error : other;
}
