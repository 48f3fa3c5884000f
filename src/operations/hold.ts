import type { CatalogBackup } from "../catalog/catalog.ts";
import { DELETED_NAME } from "../domain/object-names.ts";
import { BackupctlError } from "../errors.ts";
import type { OperationContext } from "./context.ts";
import type { BackupSummary } from "./operations.ts";
import { summaryOf } from "./repository/backup-summary.ts";
import { resolveReference } from "./repository/references.ts";
import { readBackup } from "./repository/repository.ts";
import { requireCommitted, storagesHolding, writeNotes } from "./repository/write-notes.ts";
import { storageNames } from "./session.ts";

/** Keeps a backup from every deletion until `unhold`. Works without its key: a hold that can't be proven keeps all the same. */
export async function holdBackup(context: OperationContext, reference: string, reason: string): Promise<BackupSummary> {
  if (reason.trim() === "") {
    throw new BackupctlError("USAGE", "a hold needs a reason", {
      hint: 'Say why: `backupctl hold ID --reason "audit 2026"`.',
    });
  }
  const { session } = context;
  const backup = await resolveToWrite(context, reference);
  const earlier = backup.notes.hold;
  const hold = { reason, at: session.clock.now().toISOString(), by: `${session.user}@${session.host}` };
  await writeNotes(context, backup.id, backup.storagePath, {
    needsKey: false,
    change: (notes) => ({ ...notes, hold }),
  });
  // A deletion marks first and reads the notes then; this reads the marks last. One of the two sees the other.
  const reached = await refuseIfBeingDeleted(context, backup.id, backup.storagePath);
  for (const storage of unreached(backup, reached)) {
    session.logger.warn(
      `the hold of backup ${backup.id} does not lie in storage "${storage}" yet: when that is back, \`backupctl replicate\` brings it there`,
    );
  }
  const replaced = earlier === undefined || earlier.reason === reason ? undefined : earlier;
  if (replaced !== undefined)
    session.logger.warn(
      `backup ${backup.id} was on hold for ${replaced.by} already, since ${replaced.at}: "${replaced.reason}"; the new reason takes the place of that one`,
    );
  return finished(context, backup, "backup:hold", {
    reason,
    ...(replaced === undefined ? {} : { replaces: replaced.reason }),
  });
}

/** @throws `USAGE` if the backup is not on hold; `ENCRYPTION_KEY_NOT_FOUND` without its key. */
export async function unholdBackup(context: OperationContext, reference: string): Promise<BackupSummary> {
  const backup = await resolveToWrite(context, reference);
  const reason = backup.notes.hold?.reason ?? (await findReason(context, backup));
  if (reason === undefined) {
    throw new BackupctlError("USAGE", `backup ${backup.id} is not on hold`, {
      hint: "`backupctl list --verbose` shows holds.",
    });
  }
  await writeNotes(context, backup.id, backup.storagePath, {
    needsKey: true,
    change: ({ hold: _, ...notes }) => notes,
  });
  const repository = await context.repository();
  const holding = await storagesHolding(repository, storageNames(context.session), backup.storagePath);
  const reached = holding.map(({ name }) => name);
  for (const storage of unreached(backup, reached)) {
    context.session.logger.warn(
      `storage "${storage}" does not know yet that backup ${backup.id} is no longer on hold, and keeps it: when that is back, \`backupctl unhold ${backup.id}\` once more ends the hold there`,
    );
  }
  return finished(context, backup, "backup:unhold", { reason });
}

/** The storages that have the backup, as far as is known, and could not be told. */
function unreached({ copies }: CatalogBackup, reached: readonly string[]): readonly string[] {
  return copies.flatMap(({ storage, state }) => (state === "complete" && !reached.includes(storage) ? [storage] : []));
}

/**
 * What keeps the copy of any storage: another host's hold, or what was killed, or did not reach that storage, before all of them and the
 * catalog said the same.
 */
async function findReason(context: OperationContext, { storagePath }: CatalogBackup): Promise<string | undefined> {
  const repository = await context.repository();
  for (const storage of await storagesHolding(repository, storageNames(context.session), storagePath)) {
    const { notes } = await readBackup(repository, storage, storagePath);
    if (notes.hold !== undefined) return notes.hold.reason;
  }
  return undefined;
}

/**
 * What the reference means to who asked, in the catalog of the repository that is there.
 * @throws `REPOSITORY_MISMATCH` where the primary storage holds another
 */
async function resolveToWrite(context: OperationContext, reference: string): Promise<CatalogBackup> {
  const { id } = resolveReference(await context.catalog("read"), reference);
  const backup = resolveReference(await context.catalog("write"), id);
  requireCommitted(backup);
  return backup;
}

/** @returns the names of the storages that have it and are not away */
async function refuseIfBeingDeleted(
  context: OperationContext,
  id: string,
  directory: string,
): Promise<readonly string[]> {
  const repository = await context.repository();
  const storages = await storagesHolding(repository, storageNames(context.session), directory);
  for (const storage of storages) {
    if ((await storage.stat(`${directory}/${DELETED_NAME}`)) === undefined) continue;
    throw new BackupctlError("BACKUP_NOT_FOUND", `backup ${id} is being deleted in storage "${storage.name}"`, {
      hint: "Run `backupctl list` in a moment to see whether the hold kept it.",
    });
  }
  return storages.map(({ name }) => name);
}

async function finished(
  context: OperationContext,
  backup: Parameters<typeof summaryOf>[0],
  action: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<BackupSummary> {
  const { session } = context;
  const catalog = await context.catalog("write");
  const at = session.clock.now().toISOString();
  catalog.addEvent({ at, action, user: session.user, backupId: backup.id, status: "completed", detail });
  return summaryOf(catalog.get(backup.id) ?? backup);
}
