import { BackupctlError } from "../errors.ts";
import type { BackupId } from "./backup.ts";
import {
  ancestorIdsOf,
  isRunning,
  type KnownBackup,
  newestFirst,
  retentionUntilOf,
  wholeSourcesOf,
} from "./known-backup.ts";

interface DeletionRequest<T extends KnownBackup> {
  readonly target: T;
  /** All backups that the repository holds, the target included. */
  readonly backups: readonly T[];
  readonly withDescendants: boolean;
  readonly now: Date;
}

export type ProtectionKind = "running" | "needed" | "locked" | "hold" | "retention" | "last-good";

export interface Protection {
  readonly kind: ProtectionKind;
  readonly backupId: BackupId;
  /** Whether `--force --reason` lifts it. */
  readonly forcible: boolean;
  /** For people, e.g. `is kept until 2026-02-10 by retention`; the subject is the backup. */
  readonly text: string;
}

export interface DeletionPlan<T extends KnownBackup> {
  /** In the order of deletion: newest first, and never an ancestor before what descends from it. */
  readonly deletions: readonly T[];
  readonly protections: readonly Protection[];
}

/** What `delete` would remove, and all that stands against it. Changes nothing; `refusalOf` says whether it may go on. */
export function planDeletion<T extends KnownBackup>(request: DeletionRequest<T>): DeletionPlan<T> {
  const descendants = request.backups.filter(
    (backup) => (backup.committed || isRunning(backup)) && ancestorIdsOf(backup).includes(request.target.id),
  );
  const deletions = childrenFirst(request.withDescendants ? [request.target, ...descendants] : [request.target]);
  const needed = request.withDescendants || descendants.length === 0 ? [] : [neededBy(request.target, descendants)];
  return {
    deletions,
    protections: [
      ...deletions.flatMap(runningProtection),
      ...needed,
      ...deletions.flatMap(holdProtection),
      ...deletions.flatMap((backup) => retentionProtection(backup, request.now)),
      ...lastGoodProtections(deletions, request.backups),
    ],
  };
}

/** The error that ends the deletion, or `undefined` if it may go on. Force never lifts what another backup needs. */
export function refusalOf(
  plan: DeletionPlan<KnownBackup>,
  options: { readonly force: boolean },
): BackupctlError | undefined {
  const standing = plan.protections.filter((protection) => !(options.force && protection.forcible));
  const first = standing[0];
  if (first === undefined) return undefined;
  const data = { protections: standing.map(({ kind, backupId, text }) => ({ kind, backupId, text })) };
  const more = standing.length > 1 ? ` (and ${standing.length - 1} more)` : "";
  if (first.kind === "running") {
    return new BackupctlError("BACKUP_IN_PROGRESS", `backup ${first.backupId} ${first.text}`, {
      hint: `Wait for it: \`backupctl status ${first.backupId}\`.`,
      data,
    });
  }
  return new BackupctlError("RETENTION_POLICY_VIOLATION", `backup ${first.backupId} ${first.text}${more}`, {
    hint: HINTS[first.kind],
    data,
  });
}

const HINTS: Readonly<Record<Exclude<ProtectionKind, "running">, string>> = {
  needed: "Add --with-descendants to delete those too; --dry-run lists them.",
  locked: "Delete it after that time: nobody may remove it before.",
  hold: "Run `backupctl unhold ID` first, or delete with --force --reason TEXT.",
  retention: "Wait until then, or delete with --force --reason TEXT.",
  "last-good": "Make a new backup first, or delete with --force --reason TEXT.",
};

/** Newest first, but a child always before its ancestors, even when the clocks of two hosts disagreed. */
export function childrenFirst<T extends KnownBackup>(backups: readonly T[]): readonly T[] {
  const waiting = [...backups].sort(newestFirst);
  const ordered: T[] = [];
  while (waiting.length > 0) {
    const next = waiting.findIndex((backup) => !waiting.some((other) => ancestorIdsOf(other).includes(backup.id)));
    ordered.push(...waiting.splice(Math.max(next, 0), 1));
  }
  return ordered;
}

function runningProtection(backup: KnownBackup): readonly Protection[] {
  if (!isRunning(backup)) return [];
  return [{ kind: "running", backupId: backup.id, forcible: false, text: "is being made just now" }];
}

function neededBy(target: KnownBackup, descendants: readonly KnownBackup[]): Protection {
  const names = [...descendants].sort(newestFirst).map((backup) => backup.id.slice(0, 8));
  const listed = names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
  return { kind: "needed", backupId: target.id, forcible: false, text: `is needed by ${listed}` };
}

function holdProtection(backup: KnownBackup): readonly Protection[] {
  const { hold } = backup.notes;
  if (hold === undefined) return [];
  return [{ kind: "hold", backupId: backup.id, forcible: true, text: `is on hold since ${hold.at}: ${hold.reason}` }];
}

function retentionProtection(backup: KnownBackup, now: Date): readonly Protection[] {
  if (!backup.committed) return [];
  const until = retentionUntilOf(backup);
  // A manual backup without an end is kept until someone deletes it by hand, which is this.
  if (until === null && backup.category === "manual") return [];
  if (until !== null && new Date(until).getTime() <= now.getTime()) return [];
  const text = until === null ? "is kept for ever by retention" : `is kept until ${until} by retention`;
  return [{ kind: "retention", backupId: backup.id, forcible: true, text }];
}

function lastGoodProtections<T extends KnownBackup>(deletions: readonly T[], all: readonly T[]): readonly Protection[] {
  const gone = new Set(deletions.map((backup) => backup.id));
  const remaining = new Set(all.filter((backup) => !gone.has(backup.id)).flatMap(wholeSourcesOf));
  return deletions.flatMap((backup) => {
    const last = wholeSourcesOf(backup).filter((name) => !remaining.has(name));
    if (last.length === 0) return [];
    const text = `is the last good backup of ${last.join(", ")}`;
    return [{ kind: "last-good" as const, backupId: backup.id, forcible: true, text }];
  });
}
