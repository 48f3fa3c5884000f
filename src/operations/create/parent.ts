import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { SourceConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import { ancestorIdsOf, type KnownBackup } from "../../domain/known-backup.ts";
import { chooseParent, type ParentDecision, type ParentRequest } from "../../domain/parent.ts";
import type { Selection } from "../../domain/selection.ts";
import { findLineageDefect, type LineageDefect, type LineageLook } from "../repository/lineage-check.ts";

export type ChainLimits = Pick<ParentRequest, "maxChain" | "fullEvery" | "run">;

interface Wanted {
  readonly selection: Selection<SourceConfig>;
  readonly chain: ChainLimits;
  readonly now: Date;
}

export interface Parent {
  readonly decision: ParentDecision;
  /** What keeps backups from being built on that the catalog takes for whole. */
  readonly defects: readonly LineageDefect[];
  /** What to say of them, and of what is whole in another storage. */
  readonly warnings: readonly string[];
}

/** What a backup in one storage builds on: what is whole there, as the catalog says and a look at it. */
export async function decideParent(look: LineageLook, wanted: Wanted): Promise<Parent> {
  const { selection, chain, now } = wanted;
  const backups = allBackups(look.catalog);
  const defects = new Map<BackupId, LineageDefect>();
  for (;;) {
    const decision = chooseParent({
      mode: selection.mode,
      type: selection.type,
      sources: selection.sources.map(({ name }) => name),
      backups,
      storage: look.storage.name,
      hasKey: (backup) => !defects.has(backup.id),
      ...chain,
      now,
    });
    const found = await findLineageDefect(look, decision.lineage);
    if (found !== undefined) {
      defects.set(found.id, found);
      continue;
    }
    const all = [...defects.values()];
    const warnings = all.map(({ id, reason }) => `backup ${id} can't be built on: ${reason}`);
    const repair = repairOf(decision.passedOver, { backups, defects, storage: look.storage.name });
    return {
      decision: withReasons(decision, all),
      defects: all,
      warnings: [...warnings, ...(repair === undefined ? [] : [repair])],
    };
  }
}

/** All backups, oldest decisions included: the choice of a parent looks at whole lineages. */
function allBackups(catalog: Catalog): readonly CatalogBackup[] {
  return catalog.list({}).backups;
}

/** What was found in storage is the better reason than what the catalog knew. */
function withReasons(decision: ParentDecision, defects: readonly LineageDefect[]): ParentDecision {
  if (defects.length === 0) return decision;
  return {
    ...decision,
    reason: defects.map(({ id, reason }) => `${id.slice(0, 8)} can't be built on: ${reason}`).join("; "),
  };
}

interface Seen {
  readonly backups: readonly CatalogBackup[];
  readonly defects: ReadonlyMap<BackupId, LineageDefect>;
  readonly storage: string;
}

/**
 * What mends a lineage that is damaged in this storage and whole in others. The run does not wait for it: how much there is to mend nobody
 * knows, and a new chain is whole everywhere.
 */
function repairOf(newest: KnownBackup | undefined, { backups, defects, storage }: Seen): string | undefined {
  if (newest === undefined) return undefined;
  const ids = [...ancestorIdsOf(newest), newest.id];
  const members = backups.filter(({ id }) => ids.includes(id));
  const isDamaged = ({ id, copies }: CatalogBackup): boolean =>
    defects.get(id)?.damaged === true || copies.some((copy) => copy.storage === storage && copy.state === "damaged");
  const isElsewhere = ({ copies }: CatalogBackup): boolean =>
    copies.some((copy) => copy.storage !== storage && copy.state === "complete");
  if (!members.some(isDamaged) || !members.every(isElsewhere)) return undefined;
  const command = `backupctl verify ${newest.id.slice(0, 8)} --storage ${storage} --repair`;
  return `another storage has backup ${newest.id} whole: mend it in "${storage}" with \`${command}\``;
}
