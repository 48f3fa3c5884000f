import * as path from "node:path";
import type { Catalog } from "../../catalog/catalog.ts";
import { METADATA_NAME } from "../../domain/object-names.ts";
import { listDirectory } from "../../platform/files.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import type { Session } from "../session.ts";
import { indexDirectory } from "./index-cache.ts";
import { type Repository, readBackup } from "./repository.ts";

/**
 * Clears what runs of this host left that died: called with the lock held, so nothing of this host can be running. Only
 * directories that this catalog knows as this host's own are touched, and only those without metadata.json.
 */
export async function clearDeadRuns(session: Session, repository: Repository, catalog: Catalog): Promise<void> {
  const running = catalog.list({ status: ["running", "pending"] }).backups.filter(({ host }) => host === session.host);
  for (const run of running) {
    const committed = await repository.primary.stat(`${run.storagePath}/${METADATA_NAME}`);
    if (committed !== undefined) {
      // Killed between the commit and the catalog: the storage is right, the next rebuild or this one says so.
      await adopt(repository, catalog, run.storagePath);
      continue;
    }
    const keys: string[] = [];
    for await (const { key } of repository.primary.list(run.storagePath)) keys.push(key);
    for (const key of keys) await repository.primary.remove(key);
    await removeTree(indexDirectory(repository, run.id));
    catalog.fail(
      run.id,
      { code: "INTERRUPTED", message: "the run died before it was complete" },
      session.clock.now().toISOString(),
    );
    session.logger.warn(`an earlier run (${run.id}, process ${run.pid ?? "unknown"}) died; its leavings were removed`);
  }
  for (const name of await listDirectory(repository.state.temporary)) {
    await removeTree(path.join(repository.state.temporary, name));
  }
}

async function adopt(repository: Repository, catalog: Catalog, directory: string): Promise<void> {
  const stored = await readBackup(repository, repository.primary, directory);
  catalog.restoreFromStorage({
    metadata: stored.metadata,
    trusted: stored.trusted,
    notes: stored.notes,
    copies: [
      {
        backupId: stored.metadata.id,
        storage: repository.primary.name,
        state: "complete",
        at: stored.metadata.completed_at,
      },
    ],
  });
}
