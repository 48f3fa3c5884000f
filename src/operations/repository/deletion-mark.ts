import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import { DELETED_NAME } from "../../domain/object-names.ts";
import { encodeDeletionMark } from "../../format/deletion-mark.ts";
import { randomHex } from "../../platform/random.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Session } from "../session.ts";

/** A `deleted.json` beside a metadata.json that nobody has acted upon for so long was left by a run that gave up. */
export const DELETION_LAPSES_MS = 24 * 3_600_000;

/** What has to be said of a mark beside a backup that is there: anybody who can write to the storage may have put it. */
export function markedWarning(storageName: string, { id, storage_path }: BackupMetadata): string {
  const mark = `${storage_path}/${DELETED_NAME} in storage "${storageName}"`;
  return `backup ${id} is there, but ${mark} says that it is being deleted: if nobody deletes it, remove that object and run \`backupctl catalog rebuild\``;
}

/** Says that what lies in a directory is being deleted. An older mark, of a try that was killed, may have lapsed: each try makes its own. */
export async function putDeletionMark(
  session: Session,
  storage: Storage,
  directory: string,
  backupId: BackupId | undefined,
): Promise<void> {
  const key = `${directory}/${DELETED_NAME}`;
  const at = session.clock.now().toISOString();
  const by = `${session.user}@${session.host}`;
  await storage.remove(key);
  await storage.put(key, encodeDeletionMark({ backupId, at, by, nonce: randomHex(8) }));
}
