import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import type { Session } from "../session.ts";
import { decideCleanup } from "./plan.ts";

/** The backups that a storage is to have: what cleanup would remove from it at once is not lacking there. */
export function expectedIn(
  session: Session,
  storage: StorageConfig,
  backups: readonly CatalogBackup[],
): ReadonlySet<BackupId> {
  const present = backups.map((backup): CatalogBackup => {
    const { id: backupId, metadata, outline, copies, timestamp: at } = backup;
    const known = copies.find((copy) => copy.storage === storage.name && copy.state === "damaged");
    return {
      ...backup,
      metadata,
      outline,
      copies: [known ?? { backupId, storage: storage.name, state: "complete", at }],
    };
  });
  const verdicts = decideCleanup(session, [{ storage, backups: present }]).storages.flatMap((each) => each.verdicts);
  return new Set(verdicts.filter(({ keep }) => keep).map(({ backup }) => backup.id));
}
