import type { BackupId } from "../../domain/backup.ts";
import { isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";

/** In which storages a reader met damage in which backups. */
export class DamagedCopies {
  readonly #storages = new Map<BackupId, Set<string>>();

  add(id: BackupId, storageName: string): void {
    this.#storages.set(id, (this.#storages.get(id) ?? new Set()).add(storageName));
  }

  /** Nothing is built on such a copy any more, until `verify` finds it sound. What can't be written down does not hide the damage itself. */
  async remember(context: OperationContext): Promise<void> {
    if (this.#storages.size === 0) return;
    const { session } = context;
    const at = session.clock.now().toISOString();
    try {
      // Where a storage holds another repository now, or its marker was damaged, the backups of this one are not what is damaged.
      if ((await context.catalog("read")).repositoryId() !== (await context.repository()).id) return;
      const catalog = await context.catalog("write");
      for (const [backupId, names] of this.#storages) {
        // One that is on its way lacks objects, which is no damage.
        for (const { storage, state } of catalog.get(backupId)?.copies ?? [])
          if (state === "complete" && names.has(storage)) catalog.setCopy({ backupId, storage, state: "damaged", at });
      }
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      session.logger.warn(`the damage that was found could not be recorded in the catalog: ${error.message}`);
    }
  }
}
