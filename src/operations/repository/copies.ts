import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { orderOfCopies } from "../../domain/copy-order.ts";
import { BackupctlError, type ErrorCode, isBackupctlError } from "../../errors.ts";
import { type Session, storageDefinition } from "../session.ts";
import { amongFailures } from "./among-failures.ts";
import { withKeysOf } from "./keys-of-other-copy.ts";
import type { ReadableStorage } from "./read-object.ts";
import type { Repository } from "./repository.ts";

export const DAMAGE: readonly ErrorCode[] = ["BACKUP_CORRUPTED", "UNSUPPORTED_FORMAT"];

/** The names of the storages to read a backup from, best first. */
export function copiesOf(session: Session, { copies }: Pick<CatalogBackup, "copies">): readonly string[] {
  const storages = session.loaded.config.storages.map(({ name, type }) => ({
    name,
    local: storageDefinition(session, type).isLocal === true,
  }));
  return orderOfCopies(storages, copies);
}

/** Another storage has it, and this one is not known to: what lacks there is no damage. */
export function isWithoutCopy({ copies }: Pick<CatalogBackup, "copies">, storageName: string): boolean {
  const holding = copies.filter(({ state }) => state !== "pending");
  return holding.length > 0 && holding.every(({ storage }) => storage !== storageName);
}

export function noCopyIn(storageName: string, { id, copies }: Pick<CatalogBackup, "id" | "copies">): BackupctlError {
  const short = id.slice(0, 8);
  const isToCome = copies.some(({ storage, state }) => storage === storageName && state === "pending");
  const why = isToCome ? "" : "It was not copied there, or retention let it go. ";
  return new BackupctlError(
    "BACKUP_NOT_FOUND",
    `storage "${storageName}" has no copy of backup ${id}${isToCome ? " yet" : ""}`,
    {
      hint: `${why}\`backupctl replicate ${short} --to ${storageName}\` brings it; \`backupctl show ${short}\` lists its copies.`,
    },
  );
}

/** In words that follow what is damaged. */
export function mendedBy(id: BackupId, storageName: string): string {
  return `\`backupctl verify ${id.slice(0, 8)} --storage ${storageName} --repair\` mends it`;
}

/** Why another copy of a backup is read. */
export function notUsed(id: BackupId, storageName: string, { code, message }: BackupctlError): string {
  const mend = code === "BACKUP_CORRUPTED" ? `; ${mendedBy(id, storageName)}` : "";
  return `the copy in storage "${storageName}" is not used: ${message}${mend}`;
}

/**
 * What `read` gives of the first copy that it can be had of; where that is none, of one whose keys another copy has.
 * @throws what it threw for the first, but damage before a storage that is away: it says more; with a line for each other one
 */
export async function readAnyCopy<T>(
  repository: Repository,
  names: readonly string[],
  read: (storage: ReadableStorage) => Promise<T>,
  onFailure: (name: string, error: BackupctlError) => void = () => undefined,
): Promise<T> {
  const failures = new Map<string, BackupctlError>();
  const opened: ReadableStorage[] = [];
  let failure: BackupctlError | undefined;
  for (const name of names) {
    try {
      const storage = await repository.storage(name);
      opened.push(storage);
      return await read(storage);
    } catch (error) {
      if (!isBackupctlError(error) || error.code === "INTERRUPTED") throw error;
      onFailure(name, error);
      failures.set(name, error);
      if (failure === undefined || (!DAMAGE.includes(failure.code) && DAMAGE.includes(error.code))) failure = error;
    }
  }
  if (failure === undefined) throw new RangeError("no copy to read");
  const all = amongFailures(failure, failures);
  if (!DAMAGE.includes(failure.code)) throw all;
  return readJoined(opened, read, all);
}

/** One copy may have lost its keys, and another one its metadata. @throws `failure` where that does not help */
async function readJoined<T>(
  copies: readonly ReadableStorage[],
  read: (storage: ReadableStorage) => Promise<T>,
  failure: BackupctlError,
): Promise<T> {
  const joined = copies.flatMap((storage) =>
    copies.filter((other) => other !== storage).map((other) => withKeysOf(storage, other)),
  );
  for (const copy of joined) {
    try {
      return await read(copy);
    } catch (error) {
      if (!isBackupctlError(error) || error.code === "INTERRUPTED") throw error;
    }
  }
  throw failure;
}
