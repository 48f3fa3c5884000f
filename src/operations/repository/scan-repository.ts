import type { CopyRecord, FoundBackup, UnreadableBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import { packsOf } from "../../domain/copies.ts";
import { count } from "../../domain/count.ts";
import {
  DELETED_NAME,
  directoryState,
  METADATA_NAME,
  SHA256SUMS_NAME,
  splitObjectKey,
} from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { metadataKey } from "../../format/data-key.ts";
import type { Storage } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import { type Session, storageNames } from "../session.ts";
import { DELETION_LAPSES_MS } from "./deletion-mark.ts";
import { listBackupDirectories, type Repository, readBackup, type StoredBackup } from "./repository.ts";
import { collectNotes } from "./stored-notes.ts";
import { isUnreachable } from "./unreachable.ts";
import { describeUnreadable, type UnreadableDirectory } from "./unreadable-backups.ts";

/** Metadata is small and mostly waiting: for the network, or for a key to be unwrapped. */
const PARALLEL_READS = 16;

export interface RepositoryScan {
  readonly backups: readonly FoundBackup[];
  /** Of them those that somebody is deleting just now, and the storage that says so. */
  readonly deleting: ReadonlyMap<BackupId, string>;
  /** Directories without metadata that are no damage: under way, given up, or half deleted. */
  readonly unfinished: readonly string[];
  /** What can't be believed or read, one line each. */
  readonly damaged: readonly string[];
  /** Backups whose metadata.json is in no copy to be read or believed. */
  readonly unreadable: readonly UnreadableBackup[];
  /** The storages that were seen whole. */
  readonly storages: readonly string[];
}

interface Listing {
  readonly storage: Storage;
  readonly directories: ReadonlyMap<string, readonly string[]>;
}

interface ScanRequest {
  /** Directories of runs that this host knows of. */
  readonly underWay?: ReadonlySet<string>;
  /** Of backups that this host knows of: nothing but packs that lie there are left of one. */
  readonly committed?: ReadonlySet<string>;
  /** Nothing but these is looked at. */
  readonly directories?: readonly string[];
  /** Nobody but these is asked. */
  readonly storages?: readonly string[];
}

/**
 * Everything that the storages say of themselves: metadata, keys and notes are read, data never. Storages may be away, with a warning, but
 * not all: what is known of copies there stays.
 */
export async function scanRepository(
  session: Session,
  repository: Repository,
  request: ScanRequest,
): Promise<RepositoryScan> {
  const { underWay = new Set(), committed = new Set() } = request;
  const listings = await listStorages(session, repository, request);
  const directories = [...new Set(listings.flatMap((listing) => [...listing.directories.keys()]))].sort();
  const damaged: string[] = [];
  const unfinished: string[] = [];
  const lost: UnreadableDirectory[] = [];
  const deleting = new Map<BackupId, string>();
  const found = new Map<BackupId, FoundBackup>();
  const results = await mapInParallel(directories, PARALLEL_READS, async (directory): Promise<Looked> => {
    const holders = listings.filter((listing) => listing.directories.get(directory)?.includes(METADATA_NAME));
    if (holders.length > 0)
      return { directory, ...(await readDirectory(session, repository, listings, holders, directory)) };
    const isLost = isDamage(listings, directory, committed.has(directory)) && !underWay.has(directory);
    const error = isLost ? metadataMissing(listings, directory) : undefined;
    return {
      directory,
      backup: undefined,
      markedIn: undefined,
      problems: error === undefined ? [] : [error.message],
      error,
    };
  });
  for (const { directory, backup, error, problems, ...result } of results) {
    damaged.push(...problems);
    if (error !== undefined) {
      lost.push({ directory, storages: holdersOf(listings, directory), error });
    } else if (backup === undefined) {
      unfinished.push(directory);
    } else {
      const { id } = backup.metadata;
      const other = found.get(id);
      if (other !== undefined) damaged.push(`${directory}: backup ${id} lies in ${other.metadata.storage_path} too`);
      if (other === undefined || (!other.trusted && backup.trusted)) found.set(id, backup);
      if (result.markedIn !== undefined) deleting.set(id, result.markedIn);
    }
  }
  const { refused } = repository.effort;
  if (refused > 0) damaged.push(notTried(refused));
  const backups = [...found.values()].map((backup) => ({ ...backup, copies: closedOverAncestors(backup, found) }));
  const lineageIds = new Map(backups.flatMap(({ metadata }) => metadata.lineage.map(({ id, path }) => [path, id])));
  const known = { lineageIds, taken: new Set(found.keys()), at: session.clock.now().toISOString() };
  const unreadable = await mapInParallel(lost, PARALLEL_READS, (directory) => describeUnreadable(directory, known));
  return { backups, deleting, unfinished, damaged, unreadable, storages: listings.map(({ storage }) => storage.name) };
}

function notTried(wraps: number): string {
  const what = `${count(wraps, "passphrase-wrapped key")} were not tried, since too many before them opened nothing`;
  return `${what}: somebody may have put keys objects there; backups that were not opened for it are listed as unverified`;
}

interface Looked {
  readonly directory: string;
  readonly backup: FoundBackup | undefined;
  /** The storage that says that it is being deleted just now. */
  readonly markedIn: string | undefined;
  /** One line each. */
  readonly problems: readonly string[];
  /** Why there is no backup where one should be. */
  readonly error?: BackupctlError | undefined;
}

async function listStorages(
  session: Session,
  repository: Repository,
  { directories: wanted, storages = storageNames(session) }: ScanRequest,
): Promise<readonly Listing[]> {
  const listings: Listing[] = [];
  let failure: BackupctlError | undefined;
  for (const name of storages) {
    try {
      const storage = await repository.storage(name);
      const directories =
        wanted === undefined
          ? await listBackupDirectories(storage, (name) => name)
          : await listDirectories(storage, wanted);
      listings.push({ storage, directories });
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      repository.leaveOut(name, error);
      failure ??= error;
    }
  }
  // What is in none of the storages would be forgotten.
  if (listings.length === 0) throw failure;
  return listings;
}

async function listDirectories(
  storage: Storage,
  wanted: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const directories = new Map<string, readonly string[]>();
  for (const directory of wanted) {
    const names: string[] = [];
    for await (const { key } of storage.list(directory)) {
      const split = splitObjectKey(key);
      if (split?.directory === directory) names.push(split.name);
    }
    if (names.length > 0) directories.set(directory, names);
  }
  return directories;
}

function isDamage(listings: readonly Listing[], directory: string, wasCommitted: boolean): boolean {
  const state = directoryState(listings.flatMap((listing) => listing.directories.get(directory) ?? []));
  return state === "damaged" || (state === "unfinished" && wasCommitted);
}

function holdersOf(listings: readonly Listing[], directory: string): readonly Storage[] {
  return listings.filter(({ directories }) => directories.has(directory)).map(({ storage }) => storage);
}

function metadataMissing(listings: readonly Listing[], directory: string): BackupctlError {
  const names = holdersOf(listings, directory).map(({ name }) => `"${name}"`);
  const where = names.length > 1 ? "storages" : "storage";
  return new BackupctlError(
    "BACKUP_CORRUPTED",
    `${directory}/${METADATA_NAME} is missing in ${where} ${names.join(", ")}`,
  );
}

async function readDirectory(
  session: Session,
  repository: Repository,
  listings: readonly Listing[],
  holders: readonly Listing[],
  directory: string,
): Promise<Omit<Looked, "directory">> {
  const failures = new Map<string, BackupctlError>();
  const gone: string[] = [];
  let best: StoredBackup | undefined;
  for (const { storage } of holders) {
    const stored = await readBackup(repository, storage, directory).catch((error: unknown) => asProblem(error));
    const problem = "code" in stored ? stored : stored.problem;
    if (isBackupctlError(problem) && isDamageOrNewer(problem)) failures.set(storage.name, problem);
    else if ("code" in stored) gone.push(stored.message);
    else if (best === undefined || (!best.trusted && stored.trusted)) best = stored;
    if (best?.trusted === true) break;
  }
  const damage = [...failures].map(
    ([name, { code, message }]) => new BackupctlError(code, `${message} (storage "${name}")`),
  );
  const problems = [...gone, ...damage.map(({ message }) => message)];
  if (best === undefined) return { backup: undefined, markedIn: undefined, problems, error: damage[0] };
  const { metadata, trusted, dataKey, keysSha256 } = best;
  const macKey = trusted && dataKey !== undefined ? metadataKey(dataKey, metadata.id) : undefined;
  const notes =
    holders.length === 1
      ? best.notes
      : (
          await collectNotes(
            holders.map(({ storage }) => storage),
            metadata,
            macKey,
          )
        ).notes;
  const at = session.clock.now().toISOString();
  const copies = listings
    .flatMap(({ storage, directories }) => copyOf(metadata, storage.name, directories.get(directory), at))
    .map((copy) => (failures.has(copy.storage) ? { ...copy, state: "damaged" as const } : copy));
  return {
    backup: { metadata, trusted, notes, copies, keysSha256 },
    markedIn: await whereMarked(session, holders, directory),
    problems,
  };
}

function isDamageOrNewer({ code }: BackupctlError): boolean {
  return code === "BACKUP_CORRUPTED" || code === "UNSUPPORTED_FORMAT";
}

function asProblem(error: unknown): BackupctlError {
  // The last: deleted between the listing and now.
  if (isBackupctlError(error) && (isDamageOrNewer(error) || error.code === "BACKUP_NOT_FOUND")) return error;
  throw error;
}

/** Nothing where that storage never got it; else by the names that are there. Sizes are verify's to compare. */
function copyOf(
  metadata: BackupMetadata,
  storage: string,
  names: readonly string[] | undefined,
  at: string,
): readonly CopyRecord[] {
  if (names === undefined || !names.includes(METADATA_NAME)) return [];
  const there = new Set(names);
  const complete = [...packsOf(metadata).keys(), SHA256SUMS_NAME].every((name) => there.has(name));
  return [{ backupId: metadata.id, storage, state: complete ? "complete" : "damaged", at }];
}

async function whereMarked(
  session: Session,
  holders: readonly Listing[],
  directory: string,
): Promise<string | undefined> {
  for (const { storage, directories } of holders) {
    if (!directories.get(directory)?.includes(DELETED_NAME)) continue;
    const mark = await storage.stat(`${directory}/${DELETED_NAME}`);
    if (mark === undefined) continue;
    if (session.clock.now().getTime() - mark.modifiedAt.getTime() < DELETION_LAPSES_MS) return storage.name;
  }
  return undefined;
}

/** A copy without all of its ancestors in the same storage restores nothing. */
function closedOverAncestors(backup: FoundBackup, all: ReadonlyMap<BackupId, FoundBackup>): readonly CopyRecord[] {
  return backup.copies.map((copy) => {
    if (copy.state !== "complete") return copy;
    const whole = backup.metadata.lineage.every(({ id }) =>
      all.get(id)?.copies.some(({ storage, state }) => storage === copy.storage && state === "complete"),
    );
    return whole ? copy : { ...copy, state: "damaged" };
  });
}
