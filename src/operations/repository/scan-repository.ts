import type { CopyRecord, FoundBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import { DELETED_NAME, directoryState, METADATA_NAME, packName, SHA256SUMS_NAME } from "../../domain/object-names.ts";
import { type BackupctlError, isBackupctlError } from "../../errors.ts";
import { metadataKey } from "../../format/data-key.ts";
import type { Storage } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import type { Session } from "../session.ts";
import { listBackupDirectories, type Repository, readBackup, type StoredBackup } from "./repository.ts";
import { collectNotes, isUnreachable } from "./write-notes.ts";

/** Metadata is small and mostly waiting: for the network, or for a key to be unwrapped. */
const PARALLEL_READS = 16;
/** A `deleted.json` beside a metadata.json that nobody has acted upon for so long was left by a run that gave up. */
const DELETION_LAPSES_MS = 24 * 3_600_000;

export interface RepositoryScan {
  readonly backups: readonly FoundBackup[];
  /** Of them those that somebody is deleting just now. */
  readonly deleting: ReadonlySet<BackupId>;
  /** Directories without metadata that are no damage: under way, given up, or half deleted. */
  readonly unfinished: readonly string[];
  /** What can't be believed or read, one line each. */
  readonly damaged: readonly string[];
  /** Directories of backups whose metadata.json is in no copy to be read. */
  readonly unreadable: ReadonlySet<string>;
  /** The storages that were seen whole. */
  readonly storages: readonly string[];
}

interface Listing {
  readonly storage: Storage;
  readonly directories: ReadonlyMap<string, readonly string[]>;
}

/**
 * Everything that the storages say of themselves: metadata, keys and notes are read, data never. `underWay` are the
 * directories of runs that this host knows of. Storages other than the primary may be away, with a warning.
 */
export async function scanRepository(
  session: Session,
  repository: Repository,
  underWay: ReadonlySet<string>,
): Promise<RepositoryScan> {
  const listings = await listStorages(session, repository);
  const directories = [...new Set(listings.flatMap((listing) => [...listing.directories.keys()]))].sort();
  const damaged: string[] = [];
  const unfinished: string[] = [];
  const unreadable = new Set<string>();
  const deleting = new Set<BackupId>();
  const found = new Map<BackupId, FoundBackup>();
  const results = await mapInParallel(directories, PARALLEL_READS, async (directory) => {
    const holders = listings.filter((listing) => listing.directories.get(directory)?.includes(METADATA_NAME));
    if (holders.length === 0) return { directory, leftover: isDamage(listings, directory) && !underWay.has(directory) };
    return { directory, ...(await readDirectory(session, repository, listings, holders, directory)) };
  });
  for (const result of results) {
    if ("leftover" in result) {
      if (result.leftover) {
        damaged.push(`${result.directory}: its metadata.json is missing, what is written just before it is there`);
        unreadable.add(result.directory);
      } else unfinished.push(result.directory);
      continue;
    }
    damaged.push(...result.problems);
    if (result.backup === undefined) {
      unreadable.add(result.directory);
      continue;
    }
    const { id } = result.backup.metadata;
    const other = found.get(id);
    if (other !== undefined)
      damaged.push(`${result.directory}: backup ${id} lies in ${other.metadata.storage_path} too`);
    if (other === undefined || (!other.trusted && result.backup.trusted)) found.set(id, result.backup);
    if (result.deleting) deleting.add(id);
  }
  const backups = [...found.values()].map((backup) => ({ ...backup, copies: closedOverAncestors(backup, found) }));
  return { backups, deleting, unfinished, damaged, unreadable, storages: listings.map(({ storage }) => storage.name) };
}

async function listStorages(session: Session, repository: Repository): Promise<readonly Listing[]> {
  const listings: Listing[] = [];
  for (const { name } of session.loaded.config.storages) {
    try {
      const storage = await repository.storage(name);
      listings.push({ storage, directories: await listBackupDirectories(storage, (name) => name) });
    } catch (error) {
      if (name === repository.primary.name || !isUnreachable(error)) throw error;
      session.logger.warn(`storage "${name}" is left out: ${error.message}; what is known of its copies stays`);
    }
  }
  return listings;
}

function isDamage(listings: readonly Listing[], directory: string): boolean {
  return directoryState(listings.flatMap((listing) => listing.directories.get(directory) ?? [])) === "damaged";
}

async function readDirectory(
  session: Session,
  repository: Repository,
  listings: readonly Listing[],
  holders: readonly Listing[],
  directory: string,
): Promise<{
  readonly backup: FoundBackup | undefined;
  readonly deleting: boolean;
  readonly problems: readonly string[];
}> {
  const problems: string[] = [];
  let best: StoredBackup | undefined;
  for (const { storage } of holders) {
    const stored = await readBackup(repository, storage, directory).catch((error: unknown) => asProblem(error));
    if ("code" in stored) problems.push(`${stored.message} (storage "${storage.name}")`);
    else if (best === undefined || (!best.trusted && stored.trusted)) best = stored;
    if (best?.trusted === true) break;
  }
  if (best === undefined) return { backup: undefined, deleting: false, problems };
  const { metadata, trusted, dataKey, keysSha256 } = best;
  if (best.problem !== undefined && isBackupctlError(best.problem, "BACKUP_CORRUPTED"))
    problems.push(best.problem.message);
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
  const copies = listings.flatMap(({ storage, directories }) =>
    copyOf(metadata, storage.name, directories.get(directory), at),
  );
  return {
    backup: { metadata, trusted, notes, copies, keysSha256 },
    deleting: await isBeingDeleted(session, holders, directory),
    problems,
  };
}

function asProblem(error: unknown): BackupctlError {
  if (isBackupctlError(error, "BACKUP_CORRUPTED") || isBackupctlError(error, "UNSUPPORTED_FORMAT")) return error;
  // Deleted between the listing and now.
  if (isBackupctlError(error, "BACKUP_NOT_FOUND")) return error;
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
  const complete = packNamesOf(metadata).every((name) => there.has(name)) && there.has(SHA256SUMS_NAME);
  return [{ backupId: metadata.id, storage, state: complete ? "complete" : "damaged", at }];
}

/** Every pack that metadata says is in the backup's own directory. */
function packNamesOf(metadata: BackupMetadata): readonly string[] {
  return metadata.sources.flatMap(({ data, index, root }) =>
    [data, index, root].flatMap((artifact) =>
      (artifact?.packs ?? []).map((_, number) => packName(artifact?.name ?? "", number)),
    ),
  );
}

async function isBeingDeleted(session: Session, holders: readonly Listing[], directory: string): Promise<boolean> {
  for (const { storage, directories } of holders) {
    if (!directories.get(directory)?.includes(DELETED_NAME)) continue;
    const mark = await storage.stat(`${directory}/${DELETED_NAME}`);
    if (mark === undefined) continue;
    if (session.clock.now().getTime() - mark.modifiedAt.getTime() < DELETION_LAPSES_MS) return true;
  }
  return false;
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
