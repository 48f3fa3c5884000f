import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Session } from "../session.ts";
import type { StoredBackup } from "./repository.ts";

/**
 * What stands between a stored backup and its use: it must be proven, and encrypted where the config says so. Whoever can write to
 * the storage could else put a backup of their own making there. `allowUnencrypted` is the whole id of the one backup that may be.
 * @throws the reason why it is not proven; `BACKUP_VERIFICATION_FAILED` for one that is not encrypted.
 */
export function requireTrusted(
  session: Session,
  stored: Pick<StoredBackup, "metadata" | "trusted" | "problem">,
  allowUnencrypted: string | undefined,
): void {
  const { metadata, trusted, problem } = stored;
  const isKeyless = isBackupctlError(problem, "BACKUP_VERIFICATION_FAILED");
  if (isKeyless && allowUnencrypted === metadata.id) return;
  if (!trusted) throw problem ?? new BackupctlError("BACKUP_CORRUPTED", `backup ${metadata.id} is not authentic`);
  const { enabled } = session.loaded.config.encryption;
  if (metadata.encrypted || !enabled || allowUnencrypted === metadata.id) return;
  throw new BackupctlError(
    "BACKUP_VERIFICATION_FAILED",
    `backup ${metadata.id} is not encrypted, but the config has encryption on`,
    {
      hint: `If it was made with --no-encrypt on purpose, name it: --allow-unencrypted ${metadata.id}.`,
    },
  );
}
