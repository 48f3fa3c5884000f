import type { BackupMetadata, BackupNotes } from "../../domain/backup.ts";
import { isBackupctlError } from "../../errors.ts";
import { type DecodedNotes, decodeNotes, mergeNotes, notRead, unprovenInForce } from "../../format/notes.ts";
import type { Storage } from "../../storage/storage.ts";
import { listNumbered, type Newest, passedOverText, readNumbered } from "./numbered-objects.ts";

/** The notes of a backup as several storages have them. */
interface CollectedNotes {
  readonly notes: BackupNotes;
  /** The number that the next one follows; -1 without any. */
  readonly highest: number;
  /** The names of objects that say they are newer, and that no backupctl numbered so. */
  readonly beyond: readonly string[];
  /** Objects that can't be read or were changed, one line each. */
  readonly problems: readonly string[];
  /** What one in force says is not known: it can only be kept, not changed. In words. */
  readonly unknown: string | undefined;
}

/** Each writer adds one to what it sees. Some may be gone, or in storages that are away; a number far above all others was made up. */
const WIDEST_GAP = 256;

type NotedBackup = Pick<BackupMetadata, "id" | "timestamp" | "storage_path" | "retention_until">;

/** A storage that was away when notes were written has fewer of them: what is in force is only seen over all. */
export async function collectNotes(
  storages: readonly Storage[],
  backup: NotedBackup,
  macKey: Buffer | undefined,
): Promise<CollectedNotes> {
  const { notes } = await listNumbered(storages, backup.storage_path);
  return readNotes(notes, backup, macKey);
}

/** What those that were listed say. */
export async function readNotes(
  listed: Newest,
  backup: NotedBackup,
  macKey: Buffer | undefined,
): Promise<CollectedNotes> {
  const decoded = new Map<string, DecodedNotes>();
  const problems: string[] = [];
  for (const object of listed.objects) {
    const { name, storage } = object;
    if (decoded.get(name)?.verified === true) continue;
    const bytes = await readNumbered(object);
    if (bytes === undefined) continue;
    try {
      const notes = decodeNotes({ name, bytes }, backup, macKey);
      decoded.set(name, notes);
      if (notes.changed)
        problems.push(`${name} of backup ${backup.id} was changed: its mac is wrong (storage "${storage.name}")`);
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      problems.push(`${error.message} (storage "${storage.name}")`);
    }
  }
  const tooMany = passedOverText(listed, "notes", backup.storage_path);
  const [newestUnread] = listed.passedOver;
  // Older ones than a proven one say nothing any longer.
  const matters =
    newestUnread !== undefined && ![...decoded.values()].some(({ n, verified }) => verified && n > newestUnread.n);
  if (tooMany !== undefined && matters) problems.push(tooMany);
  const all = [...decoded.values(), ...(matters ? [notRead(newestUnread.n, tooMany ?? "", backup)] : [])];
  const unknown = unprovenInForce(all).find((notes) => notes.unknown !== undefined)?.unknown;
  const proven = [...decoded.values()].filter(({ verified }) => verified).map(({ n }) => n);
  const highest = endOfLine(Math.max(-1, ...proven), listed);
  const beyond = listed.objects.filter(({ n }) => n > highest).map(({ name }) => name);
  return { notes: mergeNotes(all, backup.retention_until), highest, beyond, problems, unknown };
}

/** What is not proven, or can't be read, may be another host's all the same: it counts as long as the numbers grow as they do. */
function endOfLine(proven: number, { objects }: Newest): number {
  return objects.reduceRight((last, { n }) => (n > last && n - last <= WIDEST_GAP ? n : last), proven);
}
