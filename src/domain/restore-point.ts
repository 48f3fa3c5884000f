import { BackupctlError } from "../errors.ts";
import type { BackupId } from "./backup.ts";
import { ancestorIdsOf, isGood, type KnownBackup, newestFirst, wholeSourcesOf } from "./known-backup.ts";

export interface RestorePointRequest<T extends KnownBackup> {
  readonly backups: readonly T[];
  /** The point in time asked for; absent: the latest. */
  readonly at?: Date | undefined;
  /** Sources that must all be good in it; empty: any good backup. */
  readonly sources: readonly string[];
  readonly type?: string | undefined;
  /** Of a backup, or one that it builds on. */
  readonly isDamaged: (id: BackupId) => boolean;
}

export interface RestorePoint<T extends KnownBackup> {
  readonly backup: T;
  /** How much older the backup is than the time asked for; absent for the latest. */
  readonly gapMs?: number;
  /** Newer ones that were passed over, and of which damage, their own or an ancestor's; the backup itself where there was no other. */
  readonly onDamage: readonly { readonly id: BackupId; readonly damaged: BackupId }[];
}

/**
 * The newest good backup that was begun at or before the time asked for, has the wanted sources and neither is nor builds on damage; where each of them
 * does, the newest: what is damaged may be another source's. Never one after the time: a restore must not bring back what had not happened yet.
 * @throws `BACKUP_NOT_FOUND`, naming the nearest one after the time if there is one.
 */
export function chooseRestorePoint<T extends KnownBackup>(request: RestorePointRequest<T>): RestorePoint<T> {
  const { at, type, sources } = request;
  const good = request.backups
    .filter((backup) => isGood(backup) && (type === undefined || backup.type === type))
    .sort(newestFirst);
  const isUsable = (backup: T): boolean => hasAll(wholeSourcesOf(backup), sources);
  const onDamage: { readonly backup: T; readonly damaged: BackupId }[] = [];
  const intact = good.find((candidate) => {
    if ((at !== undefined && timeOf(candidate) > at.getTime()) || !isUsable(candidate)) return false;
    const damaged = [candidate.id, ...ancestorIdsOf(candidate)].find(request.isDamaged);
    if (damaged !== undefined) onDamage.push({ backup: candidate, damaged });
    return damaged === undefined;
  });
  const backup = intact ?? onDamage[0]?.backup;
  if (backup === undefined) throw nothingToRestore(request, good.findLast(isUsable));
  const told = intact === undefined ? onDamage.slice(0, 1) : onDamage;
  return {
    backup,
    onDamage: told.map(({ backup: { id }, damaged }) => ({ id, damaged })),
    ...(at === undefined ? {} : { gapMs: at.getTime() - timeOf(backup) }),
  };
}

function hasAll(good: readonly string[], wanted: readonly string[]): boolean {
  return wanted.length === 0 ? good.length > 0 : wanted.every((name) => good.includes(name));
}

function timeOf(backup: KnownBackup): number {
  return new Date(backup.timestamp).getTime();
}

function nothingToRestore<T extends KnownBackup>(
  request: RestorePointRequest<T>,
  nearestAfter: T | undefined,
): BackupctlError {
  const of = request.type === undefined ? "" : ` of type ${request.type}`;
  const having = request.sources.length === 0 ? "" : ` with ${request.sources.join(", ")}`;
  const before = request.at === undefined ? "" : ` at or before ${request.at.toISOString()}`;
  return new BackupctlError("BACKUP_NOT_FOUND", `there is no good backup${of}${having}${before}`, {
    hint:
      nearestAfter === undefined || request.at === undefined
        ? "See `backupctl list --verbose` for what is wrong with each, and `backupctl show ID` for what it holds."
        : `The nearest after it is ${nearestAfter.id} of ${nearestAfter.timestamp}: \`backupctl restore ${nearestAfter.id}\`.`,
    ...(nearestAfter === undefined || request.at === undefined
      ? {}
      : { data: { nearestAfter: { id: nearestAfter.id, timestamp: nearestAfter.timestamp } } }),
  });
}
