import { BackupctlError } from "../errors.ts";
import { isGood, type KnownBackup, newestFirst, wholeSourcesOf } from "./known-backup.ts";

export interface RestorePointRequest<T extends KnownBackup> {
  readonly backups: readonly T[];
  /** The point in time asked for; absent: the latest. */
  readonly at?: Date | undefined;
  /** Sources that must all be good in it; empty: any good backup. */
  readonly sources: readonly string[];
  readonly type?: string | undefined;
}

export interface RestorePoint<T extends KnownBackup> {
  readonly backup: T;
  /** How much older the backup is than the time asked for; absent for the latest. */
  readonly gapMs?: number;
}

/**
 * The newest good backup that was begun at or before the time asked for and has the wanted sources. Never one after it: a
 * restore must not bring back what had not happened yet.
 * @throws `BACKUP_NOT_FOUND`, naming the nearest one after the time if there is one.
 */
export function chooseRestorePoint<T extends KnownBackup>(request: RestorePointRequest<T>): RestorePoint<T> {
  const { at, type, sources } = request;
  const good = request.backups
    .filter((backup) => isGood(backup) && (type === undefined || backup.type === type))
    .sort(newestFirst);
  const isUsable = (backup: T): boolean => hasAll(wholeSourcesOf(backup), sources);
  const backup = good.find(
    (candidate) => (at === undefined || timeOf(candidate) <= at.getTime()) && isUsable(candidate),
  );
  if (backup === undefined) throw nothingToRestore(request, good.findLast(isUsable));
  return at === undefined ? { backup } : { backup, gapMs: at.getTime() - timeOf(backup) };
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
