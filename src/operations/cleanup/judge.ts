import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import { decideRetention, type Verdict } from "../../domain/retention/decide.ts";
import type { Session } from "../session.ts";
import type { Locks } from "./locks.ts";

/** What the configuration lets stay in one storage now. */
export function judge(
  { loaded, clock }: Session,
  { name, retention }: StorageConfig,
  backups: readonly CatalogBackup[],
  locks?: Locks,
): readonly Verdict<CatalogBackup>[] {
  const { sources, timezone } = loaded.config;
  return decideRetention({
    ...{ backups, storage: name, policy: retention, timezone, now: clock.now(), locks },
    sources: sources.map((source) => source.name),
  });
}

/**
 * The backups that a storage is to have: what cleanup would remove from it at once is not lacking there. Nor is what would stay
 * only because `verify` has read it, which may have been elsewhere: after it came to an archive, which it left this storage for.
 */
export function expectedIn(
  session: Session,
  storage: StorageConfig,
  backups: readonly CatalogBackup[],
): ReadonlySet<BackupId> {
  const present = backups.map((backup): CatalogBackup => {
    const { id: backupId, metadata, outline, copies, timestamp: at } = backup;
    const { verified, ...notes } = backup.notes;
    const known = copies.find((copy) => copy.storage === storage.name && copy.state === "damaged");
    const copy = known ?? { backupId, storage: storage.name, state: "complete" as const, at };
    return { ...backup, metadata, outline, copies: [copy], notes: verified?.passed === true ? notes : backup.notes };
  });
  const kept = judge(session, storage, present).filter(({ keep }) => keep);
  return new Set(kept.map(({ backup }) => backup.id));
}
