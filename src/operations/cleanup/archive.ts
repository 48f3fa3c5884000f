import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import type { Verdict } from "../../domain/retention/decide.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import { replicateHere } from "../replicate/replicate.ts";
import type { Session } from "../session.ts";
import { verifyBackups } from "../verify/verify.ts";
import { expectedIn } from "./judge.ts";

/** Of these classes a backup whose time is over moves to the archives, if there are any. */
const ARCHIVED: readonly string[] = ["monthly", "yearly"];

export interface Move {
  readonly backupId: BackupId;
  /** The name of an archive that lacks it. */
  readonly to: string;
}

/** What has to come to an archive before it may go: what expires elsewhere, and the archive would keep. */
export function movesOf(
  session: Session,
  backups: readonly CatalogBackup[],
  verdicts: readonly Verdict<CatalogBackup>[],
): readonly Move[] {
  const archives = session.loaded.config.storages.filter(({ role }) => role === "archive");
  const going = new Set(verdicts.filter(({ keep }) => !keep).map(({ backup }) => backup.id));
  const moving = backups.filter(
    ({ id, category, status }) => going.has(id) && ARCHIVED.includes(category) && status !== "deleting",
  );
  if (moving.length === 0) return [];
  return archives.flatMap((archive) => {
    const expected = expectedIn(session, archive, backups);
    const lacks = ({ id, copies }: CatalogBackup): boolean =>
      expected.has(id) && !copies.some(({ storage, state }) => storage === archive.name && state === "complete");
    return moving.filter(lacks).map(({ id }) => ({ backupId: id, to: archive.name }));
  });
}

interface Archived {
  readonly moved: readonly Move[];
  /** What has to stay where it is, since an archive has no sound copy of it. */
  readonly unsafe: ReadonlyMap<BackupId, BackupctlError>;
}

/** Copies with all that they build on, each read in full where it has come to before it counts as there. Called with the lock held. */
export async function archive(context: OperationContext, catalog: Catalog, moves: readonly Move[]): Promise<Archived> {
  const among = context.session.loaded.config.storages.map(({ name }) => name);
  const moved: Move[] = [];
  const unsafe = new Map<BackupId, BackupctlError>();
  for (const move of moves) {
    const { backupId, to } = move;
    try {
      const { storages } = await replicateHere(context, catalog, { reference: backupId, targets: [to], among });
      const failure = storages
        .map((each) => each.failure ?? each.notCopied[0]?.error)
        .find((each) => each !== undefined);
      if (failure !== undefined) throw new BackupctlError(failure.code, failure.message);
      await requireSound(context, move);
      moved.push(move);
    } catch (error) {
      context.session.signal.throwIfAborted();
      if (!isBackupctlError(error)) throw error;
      const message = `backup ${backupId} stays, since it did not come to archive "${to}": ${error.message}`;
      unsafe.set(backupId, new BackupctlError(error.code, message, { cause: error, hint: error.hint ?? LATER }));
    }
  }
  return { moved, unsafe };
}

const LATER = "Bring that storage back; the next cleanup tries again.";

async function requireSound(context: OperationContext, { backupId, to }: Move): Promise<void> {
  const request = { all: false, deep: false, quick: false, components: [], storage: to };
  const { passed, backups } = await verifyBackups(context, { ...request, reference: backupId });
  if (passed) return;
  const [issue] = backups.flatMap(({ issues }) => issues);
  throw new BackupctlError("BACKUP_VERIFICATION_FAILED", issue ?? "it did not pass its verification there");
}
