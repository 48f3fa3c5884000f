import type { Catalog, CatalogBackup, CopyRecord } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import type { Move } from "../../domain/retention/cleanup.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import { replicateHere } from "../replicate/replicate.ts";
import { verifyBackups } from "../verify/verify.ts";

/** That a backup came to an archive, and was read there. */
const ARCHIVE_ACTION = "backup:archive";

function copyIn({ copies }: CatalogBackup, name: string): CopyRecord | undefined {
  return copies.find(({ storage }) => storage === name);
}

/** @param since ISO 8601 */
export function wasRead(catalog: Catalog, backupId: BackupId, archiveName: string, since = ""): boolean {
  return catalog
    .events({ backupId })
    .some(({ action, at, detail }) => action === ARCHIVE_ACTION && detail.storage === archiveName && at >= since);
}

interface Archived {
  readonly moved: readonly Move[];
  /** What has to stay where it is, since an archive has no sound copy of it. */
  readonly unsafe: ReadonlyMap<BackupId, BackupctlError>;
  /** What of it did not come where. */
  readonly failed: readonly Move[];
}

/** Copies with all that they build on, each read in full where it has come to before it counts as there. Called with the lock held. */
export async function archive(context: OperationContext, catalog: Catalog, moves: readonly Move[]): Promise<Archived> {
  const { session } = context;
  const among = session.loaded.config.storages.map(({ name }) => name);
  const moved: Move[] = [];
  const failed: Move[] = [];
  const unsafe = new Map<BackupId, BackupctlError>();
  const away = new Map<string, BackupctlError>();
  for (const move of moves) {
    const { backupId, to } = move;
    const known = away.get(to);
    if (known !== undefined) {
      unsafe.set(backupId, known);
      continue;
    }
    try {
      const { storages } = await replicateHere(context, catalog, { reference: backupId, targets: [to], among });
      const [target] = storages;
      if (target?.failure !== undefined) away.set(to, archiveFailed(to, target.failure));
      const failure = away.get(to) ?? target?.notCopied[0]?.error;
      if (failure !== undefined)
        throw new BackupctlError(failure.code, failure.message, { hint: failure.hint ?? LATER });
      await requireSound(context, catalog, move);
      moved.push(move);
    } catch (error) {
      session.signal.throwIfAborted();
      if (!isBackupctlError(error)) throw error;
      unsafe.set(backupId, away.get(to) ?? notArchived(error, move));
      failed.push(move);
    }
  }
  return { moved, unsafe, failed };
}

/** The same for all that was to come there. */
function archiveFailed(to: string, { code, message }: Pick<BackupctlError, "code" | "message">): BackupctlError {
  return new BackupctlError(code, `what was to move to archive "${to}" stays where it is: ${message}`, { hint: LATER });
}

function notArchived(error: BackupctlError, { backupId, to }: Move): BackupctlError {
  const { code, message } = error;
  const one = `backup ${backupId} stays, since it did not come to archive "${to}": ${message}`;
  const isDamaged = code === "BACKUP_CORRUPTED" || code === "BACKUP_VERIFICATION_FAILED";
  return new BackupctlError(code, one, {
    cause: error,
    hint: isDamaged ? mendOrDelete(backupId) : (error.hint ?? LATER),
  });
}

const LATER = "Bring that storage back; the next cleanup tries again.";

function mendOrDelete(id: BackupId): string {
  return `Mend it from another copy with \`backupctl verify ${id} --repair\`; where none is sound, \`backupctl delete ${id} --force --reason TEXT\`.`;
}

/**
 * Reads all of it there, with what it builds on, once since it came: what lies cold afterwards need not be thawed to be believed.
 * @throws what is wrong with it
 */
export async function requireSound(context: OperationContext, catalog: Catalog, { backupId, to }: Move): Promise<void> {
  const backup = catalog.get(backupId);
  const copy = backup && copyIn(backup, to);
  if (copy?.state === "complete" && wasRead(catalog, backupId, to, copy.at)) return;
  const request = { all: false, deep: false, quick: false, components: [], storage: to };
  const { passed, backups } = await verifyBackups(context, { ...request, reference: backupId });
  if (!passed) {
    const [issue] = backups.flatMap(({ issues }) => issues);
    throw new BackupctlError("BACKUP_VERIFICATION_FAILED", issue ?? "it did not pass its verification there");
  }
  const { session } = context;
  const at = session.clock.now().toISOString();
  const detail = { storage: to };
  catalog.addEvent({ at, action: ARCHIVE_ACTION, user: session.user, backupId, status: "completed", detail });
}
