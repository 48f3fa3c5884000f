import type { BackupId } from "../domain/backup.ts";

/** The bytes of `deleted.json`: nobody reads more of it than that it is there. `nonce`: no two marks are the same bytes. */
export function encodeDeletionMark(mark: {
  /** `undefined`: what lies there never became a backup. */
  readonly backupId: BackupId | undefined;
  /** ISO, UTC. */
  readonly at: string;
  /** `user@host`. */
  readonly by: string;
  /** 16 hex digits. */
  readonly nonce: string;
}): Buffer {
  const { backupId, at, by, nonce } = mark;
  return Buffer.from(`${JSON.stringify({ version: 1, backup_id: backupId, at, by, nonce }, null, 2)}\n`);
}
