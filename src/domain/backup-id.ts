import { BackupctlError } from "../errors.ts";
import { type BackupId, isBackupId } from "./backup.ts";

const MIN_PREFIX_LENGTH = 4;

/**
 * The backup that an operator means by a whole id or by the beginning of one (at least 4 characters).
 * @throws `BACKUP_NOT_FOUND` if there is none; `USAGE` if the text is no id, too short, or fits several backups.
 */
export function resolveBackupId<T extends { readonly id: BackupId }>(
  text: string,
  findByPrefix: (prefix: string) => readonly T[],
): T {
  const prefix = text.trim().toLowerCase();
  checkPrefix(text, prefix);
  const found = findByPrefix(prefix);
  const exact = isBackupId(prefix) ? found.find((backup) => backup.id === prefix) : found[0];
  if (exact === undefined) throw backupNotFound(text);
  if (found.length > 1 && exact.id !== prefix) {
    const ids = found.map((backup) => backup.id);
    throw new BackupctlError("USAGE", `backup id "${text}" is ambiguous: ${ids.length} backups begin with it`, {
      hint: `Write more of the id: ${ids.slice(0, 5).join(", ")}${ids.length > 5 ? ", …" : ""}.`,
      data: { ids: ids.slice(0, 20) },
    });
  }
  return exact;
}

function checkPrefix(text: string, prefix: string): void {
  if (!fitsUuid(prefix)) {
    throw new BackupctlError("USAGE", `"${text}" is not a backup id`, {
      hint: "A backup id is a UUID or its first characters; `backupctl list` shows them.",
    });
  }
  if (prefix.length < MIN_PREFIX_LENGTH) {
    throw new BackupctlError("USAGE", `backup id "${text}" is too short`, {
      hint: `Write at least ${MIN_PREFIX_LENGTH} characters of it; \`backupctl list\` shows the ids.`,
    });
  }
}

/** Whether the text can be the beginning of a UUID: hex digits with dashes where a UUID has them. */
function fitsUuid(prefix: string): boolean {
  const shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (prefix.length === 0 || prefix.length > shape.length) return false;
  return [...prefix].every((character, index) =>
    shape[index] === "-" ? character === "-" : /[0-9a-f]/.test(character),
  );
}

function backupNotFound(text: string): BackupctlError {
  return new BackupctlError("BACKUP_NOT_FOUND", `no backup has the id "${text}"`, {
    hint: "Run `backupctl list` to see all backups, or `backupctl catalog rebuild` if it was made by another host.",
  });
}
