import type { BackupId } from "../backup.ts";
import type { KnownBackup } from "../known-backup.ts";
import { type Brake, clockBrake, maxDeleteBrake } from "./brake.ts";
import { decideRetention, type RetentionQuestion, type Verdict } from "./decide.ts";
import type { StoragePolicy } from "./policy.ts";

/** Of these classes a backup whose time is over moves to the archives, if there are any. */
const ARCHIVED: readonly string[] = ["monthly", "yearly"];

/** What holds for all storages. */
export type Rules = Pick<RetentionQuestion<KnownBackup>, "sources" | "timezone" | "now">;

/** A storage, and what is to be judged there. */
export interface Place<T extends KnownBackup> {
  readonly name: string;
  readonly policy: StoragePolicy;
  readonly isArchive: boolean;
  /** All, with their copies there as they are known or were seen. */
  readonly backups: readonly T[];
  /** Until when nobody may remove what lies there. */
  readonly locks?: ReadonlyMap<BackupId, Date> | undefined;
}

export interface CleanupQuestion<T extends KnownBackup> {
  readonly rules: Rules;
  readonly maxDeletePercent: number;
  /** All, as they are known. */
  readonly backups: readonly T[];
  readonly places: readonly Place<T>[];
  /** Those that are away, too, and believed to have what they had. */
  readonly archives: readonly Omit<Place<T>, "locks">[];
  /** Whether a copy that lies in an archive was read there in full. */
  readonly wasRead: (backup: BackupId, archive: string) => boolean;
}

export interface Move {
  readonly backupId: BackupId;
  /** The name of an archive where it is not, or was not read. */
  readonly to: string;
}

/** What stays and what goes, storage by storage. */
export interface CleanupVerdicts<T extends KnownBackup> {
  /** In the order of the places. */
  readonly judged: readonly { readonly name: string; readonly verdicts: readonly Verdict<T>[] }[];
  /** What has to come to an archive before. */
  readonly moves: readonly Move[];
  /** Why it should rather not be carried out. */
  readonly brakes: readonly Brake[];
}

export function decideCleanup<T extends KnownBackup>(question: CleanupQuestion<T>): CleanupVerdicts<T> {
  const { rules, maxDeletePercent, backups, places } = question;
  const judged = places.map(({ name, policy, isArchive, locks, backups: there }) => {
    return { name, isArchive, verdicts: decideRetention({ ...rules, backups: there, storage: name, policy, locks }) };
  });
  const brakes = [
    clockBrake(backups, rules.now),
    ...judged.map(({ name, verdicts }) => maxDeleteBrake(name, verdicts, maxDeletePercent)),
  ];
  const leaving = judged.filter(({ isArchive }) => !isArchive).flatMap(({ verdicts }) => verdicts);
  return {
    judged,
    moves: movesOf(question, leaving),
    brakes: brakes.filter((brake) => brake !== undefined),
  };
}

/**
 * What has to come to an archive before it may go, or to be read there: what expires elsewhere, and the archive would keep. A copy that
 * was made otherwise, or by a cleanup that was killed, has not been read.
 */
function movesOf<T extends KnownBackup>(
  { rules, backups, archives, wasRead }: CleanupQuestion<T>,
  verdicts: readonly Verdict<T>[],
): readonly Move[] {
  const going = new Set(verdicts.filter(({ keep }) => !keep).map(({ backup }) => backup.id));
  const moving = new Set(
    backups
      .filter(({ id, category, status }) => going.has(id) && ARCHIVED.includes(category) && status !== "deleting")
      .map(({ id }) => id),
  );
  if (moving.size === 0) return [];
  return archives.flatMap(({ name, policy, backups: known }) => {
    const expected = expectedIn({ name, policy }, backups, rules);
    const isSafe = ({ id, copies }: T): boolean =>
      copies.some(({ storage, state }) => storage === name && state === "complete") && wasRead(id, name);
    const lacking = known.filter((backup) => moving.has(backup.id) && expected.has(backup.id) && !isSafe(backup));
    return lacking.map(({ id }) => ({ backupId: id, to: name }));
  });
}

/**
 * The backups that a storage is to have: what cleanup would remove from it at once is not lacking there. Nor is what would stay
 * only because `verify` has read it, which may have been elsewhere: after it came to an archive, which it left this storage for.
 */
export function expectedIn(
  { name: storage, policy }: Pick<Place<KnownBackup>, "name" | "policy">,
  backups: readonly KnownBackup[],
  rules: Rules,
): ReadonlySet<BackupId> {
  const present = backups.map((backup): KnownBackup => {
    const { metadata, copies } = backup;
    const { verified, ...notes } = backup.notes;
    const known = copies.find((copy) => copy.storage === storage && copy.state === "damaged");
    const copy = known ?? { storage, state: "complete" };
    return { ...backup, metadata, copies: [copy], notes: verified?.passed === true ? notes : backup.notes };
  });
  const kept = decideRetention({ ...rules, backups: present, storage, policy }).filter(({ keep }) => keep);
  return new Set(kept.map(({ backup }) => backup.id));
}
