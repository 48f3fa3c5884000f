import type { BackupId } from "../../domain/backup.ts";
import { DELETED_NAME } from "../../domain/object-names.ts";
import { encodeDeletionMark } from "../../format/deletion-mark.ts";
import { randomHex } from "../../platform/random.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Session } from "../session.ts";

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
