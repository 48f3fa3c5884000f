import type { BackupMetadata } from "../../domain/backup.ts";
import { BackupctlError } from "../../errors.ts";
import { readArtifact } from "../../format/artifact-reader.ts";
import { StoredDamage } from "../../format/pack-source.ts";
import { WorkerPool } from "../../format/workers/pool.ts";
import { giveBack } from "../../platform/own-memory.ts";
import type { Storage } from "../../storage/storage.ts";
import type { OperationContext } from "../context.ts";
import { openPackSource } from "../repository/pack-fetching.ts";

/** `--verify full`: reads back and opens everything that this backup has stored. @throws `BACKUP_VERIFICATION_FAILED` */
export async function readBack(context: OperationContext, storage: Storage, metadata: BackupMetadata): Promise<void> {
  const packs = openPackSource(await context.repository(), [storage.name], metadata);
  const pool = new WorkerPool(context.session.loaded.config.workers);
  try {
    for (const source of metadata.sources) {
      for (const artifact of [source.data, source.index, source.root]) {
        if (artifact === undefined) continue;
        const blocks = readArtifact(metadata.id, artifact, metadata.encrypted, packs, pool);
        for await (const { raw } of blocks) {
          giveBack(raw);
          context.session.signal.throwIfAborted();
        }
      }
    }
  } catch (error) {
    if (!(error instanceof StoredDamage)) throw error;
    throw new BackupctlError(
      "BACKUP_VERIFICATION_FAILED",
      `backup ${metadata.id} does not read back as it was written: ${error.message}`,
      {
        hint: `Check the storage's disk, then run backupctl create again. Delete this one with: backupctl delete ${metadata.id.slice(0, 8)} --force --reason damaged`,
        cause: error,
      },
    );
  } finally {
    await pool.close();
  }
}
