import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import type { Brake } from "../../domain/retention/brake.ts";
import { decideCleanup as decide, type Move } from "../../domain/retention/cleanup.ts";
import type { Verdict } from "../../domain/retention/decide.ts";
import type { OperationContext } from "../context.ts";
import type { CleanupPlan } from "../operations.ts";
import { mapInParallel } from "../parallel.ts";
import { summaryOf } from "../repository/backup-summary.ts";
import { askForLocks, type Locks } from "../repository/locks.ts";
import type { Session } from "../session.ts";
import { wasRead } from "./archive.ts";
import { goingFrom, placeOf, rulesOf } from "./judge.ts";

const STORAGES_AT_ONCE = 4;

/** What is decided by. */
export interface Known {
  readonly session: Session;
  readonly catalog: Catalog;
  /** All, as the catalog has them. */
  readonly backups: readonly CatalogBackup[];
}

/** A storage that is decided about, with all backups, whose copies there are as they are known or seen. */
export interface Asked {
  readonly storage: StorageConfig;
  readonly backups: readonly CatalogBackup[];
  /** Of what would go there. */
  readonly locks?: Locks | undefined;
}

/** What stays and what goes, storage by storage. */
export interface CleanupDecision {
  readonly storages: readonly StorageDecision[];
  /** What has to come to an archive before. */
  readonly moves: readonly Move[];
  /** Why it should rather not be carried out. */
  readonly brakes: readonly Brake[];
}

export interface StorageDecision {
  readonly storage: StorageConfig;
  readonly verdicts: readonly Verdict<CatalogBackup>[];
}

/**
 * What `cleanup` would remove now, and why each backup stays or goes. Reads the catalog, and asks the storages that are not on this host
 * whether what would go there is locked.
 * @throws as `cleanUp` where no storage can be had, or the primary is not of the catalog's repository
 */
export async function planCleanup(context: OperationContext): Promise<CleanupPlan> {
  const { session } = context;
  // Else the catalog alone would be asked, which knows nothing of a disk that was swapped.
  await context.repository();
  const catalog = await context.catalog("read");
  const { backups } = catalog.list({});
  const asked = await mapInParallel(session.loaded.config.storages, STORAGES_AT_ONCE, async (storage) => {
    const { locks, unasked } = await askForLocks(session, storage, goingFrom(session, storage, backups));
    return { storage, backups, locks, unasked };
  });
  const plan = describeDecision(decideCleanup({ session, catalog, backups }, asked));
  const storages = plan.storages.map((each) => {
    return { ...each, unasked: asked.find(({ storage }) => storage.name === each.name)?.unasked };
  });
  return { ...plan, storages };
}

export function decideCleanup({ session, catalog, backups }: Known, asked: readonly Asked[]): CleanupDecision {
  const { config } = session.loaded;
  const { judged, moves, brakes } = decide({
    ...{ rules: rulesOf(session), maxDeletePercent: config.retention.maxDeletePercent, backups },
    places: asked.map((each) => ({ ...placeOf(each.storage, each.backups), locks: each.locks })),
    archives: config.storages
      .filter(({ role }) => role === "archive")
      .map((archive) =>
        placeOf(archive, asked.find(({ storage }) => storage.name === archive.name)?.backups ?? backups),
      ),
    wasRead: (id, archive) => wasRead(catalog, id, archive),
  });
  const storages = asked.map(({ storage }, place) => ({ storage, verdicts: judged[place]?.verdicts ?? [] }));
  return { storages, moves, brakes };
}

export function describeDecision({ storages, moves, brakes }: CleanupDecision): CleanupPlan {
  const archivesOf = Map.groupBy(moves, ({ backupId }) => backupId);
  return {
    brakes,
    storages: storages.map(({ storage, verdicts }) => ({
      name: storage.name,
      verdicts: verdicts.map(({ backup, keep, reasons }) => {
        const summary = summaryOf(backup);
        const archives = keep ? [] : (archivesOf.get(backup.id) ?? []);
        const move = { kind: "archive", text: `moves to ${archives.map(({ to }) => to).join(", ")}` };
        const why = archives.length === 0 ? reasons : [...reasons, move];
        return { backup: summary, keep, reasons: why, bytes: summary.storedBytes ?? 0 };
      }),
    })),
  };
}
