import type { BackupId, BackupMetadata, BackupNotes, BackupStatus, LineageMember, SourceMetadata } from "./backup.ts";

/** What the deciders need to know of a backup; a row of the catalog is one. */
export interface KnownBackup {
  readonly id: BackupId;
  readonly type: string;
  readonly mode: string;
  readonly category: string;
  readonly status: BackupStatus;
  readonly timestamp: string;
  readonly completedAt: string | undefined;
  readonly parentId: BackupId | undefined;
  readonly trusted: boolean;
  readonly notes: BackupNotes;
  readonly copies: readonly { readonly storage: string; readonly state: string }[];
  /** Its metadata is in storage: other backups can depend on it. */
  readonly committed: boolean;
  /** Of a committed one. Whoever looks at all backups should not ask for it: it is read when it is asked for. */
  readonly metadata: BackupMetadata | undefined;
}

const GOOD_STATUSES: readonly BackupStatus[] = ["completed", "completed_with_errors", "partial"];

/** Committed, proven by its mac, not quarantined, not failed by its last verification, not being deleted. */
export function isGood(backup: KnownBackup): boolean {
  return (
    backup.committed &&
    backup.trusted &&
    GOOD_STATUSES.includes(backup.status) &&
    backup.notes.quarantine === undefined &&
    backup.notes.verified?.passed !== false
  );
}

/** Its last verification failed, or damage was met in each copy that is left. One that can't be read may still be built on soundly. */
export function isKnownDamaged({ status, notes, copies }: KnownBackup): boolean {
  if (status === "unreadable") return false;
  const states = copies.map(({ state }) => state);
  return notes.verified?.passed === false || (states.includes("damaged") && !states.includes("complete"));
}

/** It is being made, or its run died. */
export function isRunning({ status }: KnownBackup): boolean {
  return status === "running" || status === "pending";
}

/** The names of the sources that this backup can bring back as they were; none if the backup itself is not good. */
export function wholeSourcesOf(backup: KnownBackup): readonly string[] {
  if (!isGood(backup)) return [];
  return (backup.metadata?.sources ?? []).filter(isWholeSource).map((source) => source.name);
}

/** One that holds only some tables would bring back a database without the others. */
export function isWholeSource(source: SourceMetadata): boolean {
  return isGoodSource(source) && source.narrowed === undefined;
}

/** A source with unreadable entries counts; a failed one never does. */
export function isGoodSource(source: SourceMetadata): boolean {
  return source.status === "completed" || source.status === "completed_with_errors";
}

/** Until when the policy keeps it, as notes or metadata say; `null` is for ever. */
export function retentionUntilOf(backup: KnownBackup): string | null {
  return backup.notes.retention_until ?? backup.metadata?.retention_until ?? null;
}

export function tagsOf({ notes, metadata }: KnownBackup): readonly string[] {
  return notes.tags ?? metadata?.tags ?? [];
}

/** The ancestors from the full backup down to the parent; before the commit only the parent is known. */
export function ancestorIdsOf(backup: KnownBackup): readonly BackupId[] {
  const members: readonly Pick<LineageMember, "id">[] | undefined = backup.metadata?.lineage;
  if (members !== undefined) return members.map((member) => member.id).filter((id) => id !== backup.id);
  return backup.parentId === undefined ? [] : [backup.parentId];
}

/** Newest first; the id breaks ties, so that every run decides alike. */
export function newestFirst(left: KnownBackup, right: KnownBackup): number {
  const byTime = new Date(right.timestamp).getTime() - new Date(left.timestamp).getTime();
  return byTime === 0 ? left.id.localeCompare(right.id) : byTime;
}
