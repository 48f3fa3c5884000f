import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import { type Brake, clockBrake, maxDeleteBrake } from "../../domain/retention/brake.ts";
import { decideRetention, type Verdict } from "../../domain/retention/decide.ts";
import type { OperationContext } from "../context.ts";
import type { CleanupPlan } from "../operations.ts";
import { summaryOf } from "../repository/backup-summary.ts";
import type { Session } from "../session.ts";

/** What stays and what goes, storage by storage. */
export interface CleanupDecision {
  readonly storages: readonly StorageDecision[];
  /** Why it should rather not be carried out. */
  readonly brakes: readonly Brake[];
}

export interface StorageDecision {
  readonly storage: StorageConfig;
  readonly verdicts: readonly Verdict<CatalogBackup>[];
}

/** What `cleanup` would remove now, and why each backup stays or goes. Reads the catalog only. */
export async function planCleanup(context: OperationContext): Promise<CleanupPlan> {
  const { session } = context;
  const { backups } = (await context.catalog("read")).list({});
  const storages = session.loaded.config.storages.map((storage) => ({ storage, backups }));
  return describeDecision(decideCleanup(session, storages));
}

/** @param asked the storages with all backups, their copies there as they are known or seen */
export function decideCleanup(
  { loaded, clock }: Session,
  asked: readonly { readonly storage: StorageConfig; readonly backups: readonly CatalogBackup[] }[],
): CleanupDecision {
  const { sources, timezone, retention } = loaded.config;
  const now = clock.now();
  const common = { sources: sources.map(({ name }) => name), timezone, now };
  const storages = asked.map(({ storage, backups }): StorageDecision => {
    const { name, retention: policy } = storage;
    return { storage, verdicts: decideRetention({ ...common, backups, storage: name, policy }) };
  });
  const [first] = asked;
  const brakes = storages.map(({ storage, verdicts }) =>
    maxDeleteBrake(storage.name, verdicts, retention.maxDeletePercent),
  );
  return {
    storages,
    brakes: [clockBrake(first?.backups ?? [], now), ...brakes].filter((brake) => brake !== undefined),
  };
}

export function describeDecision({ storages, brakes }: CleanupDecision): CleanupPlan {
  return {
    brakes,
    storages: storages.map(({ storage, verdicts }) => ({
      name: storage.name,
      verdicts: verdicts.map(({ backup, keep, reasons }) => {
        const summary = summaryOf(backup);
        return { backup: summary, keep, reasons, bytes: summary.storedBytes ?? 0 };
      }),
    })),
  };
}
