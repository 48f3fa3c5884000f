import type { BackupId } from "../../domain/backup.ts";
import { parseNumberedName } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Copying } from "../copies/good-objects.ts";
import { type Holding, holds, isWholeIn, seenIn } from "../copies/holdings.ts";
import { copiesOf } from "../repository/copies.ts";
import type { CommittedBackup } from "./committed.ts";
import { copyBackup, TargetFailure } from "./copy-backup.ts";

export interface CatchUp extends Copying {
  readonly target: Holding;
  /** Every other storage at hand, as configured. */
  readonly others: readonly Holding[];
  /** The one that alone is read, where one is named. */
  readonly from?: string | undefined;
  readonly onBytes: (count: number) => void;
}

export interface NotCopied {
  readonly backupId: BackupId;
  readonly error: BackupctlError;
}

export interface CaughtUp {
  readonly copied: readonly BackupId[];
  readonly bytes: number;
  readonly notCopied: readonly NotCopied[];
  /** Of all that were asked for, those that are whole there now, ancestors and all. */
  readonly whole: ReadonlySet<BackupId>;
  /** Why nothing more was tried. */
  readonly failure: BackupctlError | undefined;
}

/** Each backup after those that it builds on, else the oldest first. */
export function ancestorsFirst(backups: readonly CommittedBackup[]): readonly CommittedBackup[] {
  const byId = new Map(backups.map((backup) => [backup.id, backup]));
  const ordered = new Set<CommittedBackup>();
  for (const backup of [...backups].sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp))) {
    for (const { id } of backup.metadata.lineage) {
      const member = byId.get(id);
      if (member !== undefined) ordered.add(member);
    }
    ordered.add(backup);
  }
  return [...ordered];
}

/** What has to be sent of a backup, in bytes; `undefined` if nothing lacks. Keys and notes count nothing. */
export function missingBytes(target: Holding, others: readonly Holding[], backup: CommittedBackup): number | undefined {
  if (!isWholeIn(target, backup)) return backup.metadata.stored_size;
  const there = seenIn(target, backup);
  const lacks = others.some((other) =>
    [...seenIn(other, backup).keys()].some((name) => parseNumberedName(name) !== undefined && !there.has(name)),
  );
  return lacks ? 0 : undefined;
}

/**
 * Brings one storage up to date with `backups`, which come in the order of `ancestorsFirst`, all ancestors among them: a copy
 * without its ancestors restores nothing. What can't be copied is said and passed over, and so is what builds on it.
 */
export async function catchUp(run: CatchUp, backups: readonly CommittedBackup[]): Promise<CaughtUp> {
  const { session, target, others } = run;
  const whole = new Set<BackupId>();
  const copied = new Set<BackupId>();
  const notCopied: NotCopied[] = [];
  let bytes = 0;
  let failure: BackupctlError | undefined;

  const bring = async (backup: CommittedBackup): Promise<void> => {
    requireAncestors(target, backup, whole);
    if (missingBytes(target, others, backup) !== undefined) {
      if (failure !== undefined) throw new TargetFailure(failure);
      bytes += await copyBackup({ ...run, sources: sourcesOf(run, backup) }, backup);
      copied.add(backup.id);
    }
    // What was damaged for want of an ancestor is not any longer.
    if (!backup.metadata.lineage.some(({ id }) => copied.has(id))) requireUndamaged(target, backup);
    whole.add(backup.id);
  };
  const takeNote = (backup: CommittedBackup, error: unknown): void => {
    if (error instanceof TargetFailure) {
      failure = error.reason;
      if (isWholeIn(target, backup)) whole.add(backup.id);
      return;
    }
    if (!isBackupctlError(error)) throw error;
    if (failure === undefined) notCopied.push({ backupId: backup.id, error });
  };

  for (const backup of backups) {
    session.signal.throwIfAborted();
    try {
      await bring(backup);
    } catch (error) {
      session.signal.throwIfAborted();
      takeNote(backup, error);
    }
    remember(run, backup, whole);
  }
  return { copied: [...copied], bytes, notCopied, whole, failure };
}

/** Those that hold it, the best first. */
function sourcesOf({ session, others, from }: CatchUp, backup: CommittedBackup): readonly Holding[] {
  const names = from === undefined ? copiesOf(session, backup) : [from];
  const named = names.flatMap((name) => others.find(({ storage }) => storage.name === name) ?? []);
  return named.filter((other) => holds(other, backup));
}

function requireAncestors({ storage }: Holding, backup: CommittedBackup, whole: ReadonlySet<BackupId>): void {
  const lacking = backup.metadata.lineage.find(({ id }) => id !== backup.id && !whole.has(id));
  if (lacking === undefined) return;
  throw new BackupctlError(
    "PARTIALLY_DONE",
    `backup ${backup.id} builds on ${lacking.id}, which is not whole in storage "${storage.name}"`,
    { hint: `Look at it with \`backupctl show ${lacking.id.slice(0, 8)}\`: each copy needs its ancestors beside it.` },
  );
}

/** Names and sizes do not tell what verify has read. */
function requireUndamaged(target: Holding, backup: CommittedBackup): void {
  if (stateIn(backup, target) !== "damaged") return;
  const { name } = target.storage;
  const isWholeElsewhere = backup.copies.some(({ storage, state }) => storage !== name && state === "complete");
  const code = isWholeElsewhere ? "PARTIALLY_DONE" : "BACKUP_CORRUPTED";
  throw new BackupctlError(code, `the copy of backup ${backup.id} in storage "${name}" is damaged`, {
    hint: isWholeElsewhere
      ? `Repair it from another copy: \`backupctl verify ${backup.id} --storage ${name} --repair\`; with --all instead of the id, what builds on it too.`
      : `No sound copy of it is known. Make a new full backup: \`backupctl create --mode full\`. What is sound can be taken out: \`backupctl restore ${backup.id} --skip-damaged --to DIR\`.`,
  });
}

function stateIn({ copies }: CommittedBackup, { storage }: Holding): string | undefined {
  return copies.find((copy) => copy.storage === storage.name)?.state;
}

function remember({ session, catalog, target }: CatchUp, backup: CommittedBackup, whole: ReadonlySet<BackupId>): void {
  const isThere = backup.metadata.lineage.every(({ path }) => holds(target, { storagePath: path }));
  // What waits for an ancestor to be mended is whole with that.
  if (!whole.has(backup.id) && isThere && isWholeIn(target, backup)) return;
  const broken = holds(target, backup) ? "damaged" : "pending";
  const state = whole.has(backup.id) ? "complete" : broken;
  if (stateIn(backup, target) === state) return;
  const at = session.clock.now().toISOString();
  catalog.setCopy({ backupId: backup.id, storage: target.storage.name, state, at });
}
