import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { Protection } from "../../domain/deletion.ts";
import type { DeletePlan } from "../operations.ts";
import { mapInParallel } from "../parallel.ts";
import { askForLocks } from "../repository/locks.ts";
import type { Session } from "../session.ts";

const STORAGES_AT_ONCE = 4;

interface LocksOnCopies extends Pick<DeletePlan, "locked" | "unasked"> {
  /** Of copies that can't even be hidden. */
  readonly refused: readonly Protection[];
}

/** Which copies of these backups are locked; asks all storages but those on this host. */
export async function locksOn(session: Session, backups: readonly CatalogBackup[]): Promise<LocksOnCopies> {
  const found = await mapInParallel(session.loaded.config.storages, STORAGES_AT_ONCE, async (config) => {
    const storage = config.name;
    const there = backups.filter(({ copies }) =>
      copies.some((copy) => copy.storage === storage && copy.state !== "missing" && copy.state !== "pending"),
    );
    const { locks = new Map<never, Date>(), hidesLocked = false, unasked } = await askForLocks(session, config, there);
    const bytes = there.reduce((sum, { id, metadata }) => sum + (locks.has(id) ? (metadata?.stored_size ?? 0) : 0), 0);
    const until = new Date(Math.max(0, ...Array.from(locks.values(), (each) => each.getTime())));
    return {
      locked: hidesLocked && locks.size > 0 ? [{ storage, bytes, until }] : [],
      refused: hidesLocked ? [] : Array.from(locks, ([id, end]) => lockedProtection(id, storage, end)),
      unasked: unasked === undefined ? [] : [{ storage, ...unasked }],
    };
  });
  return {
    locked: found.flatMap(({ locked }) => locked),
    refused: found.flatMap(({ refused }) => refused),
    unasked: found.flatMap(({ unasked }) => unasked),
  };
}

function lockedProtection(backupId: Protection["backupId"], storage: string, until: Date): Protection {
  const text = `is locked in storage "${storage}" until ${until.toISOString()}`;
  return { kind: "locked", backupId, forcible: false, text };
}
