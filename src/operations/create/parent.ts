import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { SourceConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import { chooseParent, type ParentDecision, type ParentRequest } from "../../domain/parent.ts";
import type { Selection } from "../../domain/selection.ts";
import { findLineageDefect, type LineageLook } from "../repository/lineage-check.ts";
import type { Session } from "../session.ts";

export type ChainLimits = Pick<ParentRequest, "maxChain" | "fullEvery">;

interface Wanted {
  readonly selection: Selection<SourceConfig>;
  readonly chain: ChainLimits;
  readonly now: Date;
}

/** What a backup in one storage builds on: what is whole there, as the catalog says and a look at it. Says what it passes over. */
export async function decideParent(session: Session, look: LineageLook, wanted: Wanted): Promise<ParentDecision> {
  const { selection, chain, now } = wanted;
  const defects = new Map<BackupId, string>();
  for (;;) {
    const decision = chooseParent({
      mode: selection.mode,
      type: selection.type,
      sources: selection.sources.map(({ name }) => name),
      backups: allBackups(look.catalog),
      storage: look.storage.name,
      hasKey: (backup) => !defects.has(backup.id),
      maxChain: chain.maxChain,
      fullEvery: chain.fullEvery,
      now,
    });
    const found = await findLineageDefect(look, decision.lineage);
    if (found === undefined) return withReasons(decision, defects);
    session.logger.warn(`backup ${found.id} can't be built on: ${found.reason}`);
    defects.set(found.id, found.reason);
  }
}

/** All backups, oldest decisions included: the choice of a parent looks at whole lineages. */
function allBackups(catalog: Catalog): readonly CatalogBackup[] {
  return catalog.list({}).backups;
}

/** What was found in storage is the better reason than what the catalog knew. */
function withReasons(decision: ParentDecision, defects: ReadonlyMap<BackupId, string>): ParentDecision {
  if (defects.size === 0) return decision;
  return {
    ...decision,
    reason: [...defects].map(([id, reason]) => `${id.slice(0, 8)} can't be built on: ${reason}`).join("; "),
  };
}
