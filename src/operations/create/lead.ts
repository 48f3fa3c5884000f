import type { Mode } from "../../domain/backup.ts";
import type { ParentDecision } from "../../domain/parent.ts";
import { withoutName } from "../../domain/storage-messages.ts";
import { type BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import type { LineageDefect } from "../repository/lineage-check.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnreachable } from "../repository/unreachable.ts";

/** The storage that a run waits for, and what it builds on there. */
export interface Lead {
  readonly storage: Storage;
  readonly decision: ParentDecision;
  /** What keeps backups from being built on that the catalog takes for whole. */
  readonly defects: readonly LineageDefect[];
  /** What to say of that, and that there may be too little room. */
  readonly warnings: readonly string[];
  /** Why other storages can't take the backup, by their names. */
  readonly passedOver: ReadonlyMap<string, BackupctlError>;
}

interface Choice {
  readonly repository: Repository;
  /** Of the run, the primary first. */
  readonly names: readonly string[];
  /** That was asked for. */
  readonly mode: Mode;
  /** @throws why the storage can't take the backup */
  readonly look: (storage: Storage) => Promise<Pick<Lead, "decision" | "defects" | "warnings">>;
}

/**
 * The primary. While that can't be opened, or is full: the first replica that has what the backup builds on or, where none has, the first
 * that takes a full one. A primary with damage leads too: a full backup is whole in all storages, and what a replica led would be pending in it
 * until it is mended. @throws why the primary can't, where none can; `CLOCK_SKEWED`, since that is this host's clock
 */
export async function chooseLead({ repository, names, mode, look }: Choice): Promise<Lead> {
  const passedOver = new Map<string, BackupctlError>();
  let lead: Omit<Lead, "passedOver"> | undefined;
  for (const name of names) {
    try {
      const storage = await repository.storage(name);
      const looked = { storage, ...(await look(storage)) };
      lead = lead === undefined || looked.decision.mode === mode ? looked : lead;
      if (name === repository.primaryName || lead.decision.mode === mode) break;
    } catch (error) {
      if (!isOfItsStorage(error)) throw error;
      passedOver.set(name, error);
    }
  }
  if (lead === undefined) throw passedOver.values().next().value;
  return { ...lead, passedOver };
}

/** Another storage may well take the backup. */
function isOfItsStorage(error: unknown): error is BackupctlError {
  if (isBackupctlError(error, "CLOCK_SKEWED")) return false;
  return isUnreachable(error) || isBackupctlError(error, "INSUFFICIENT_STORAGE");
}

/** What to say of storages that were passed over. */
export function passedOverWarnings({ storage, passedOver }: Lead, primaryName: string): readonly string[] {
  return [...passedOver].map(([name, { message }]) => {
    const instead = name === primaryName ? `; the backup is made in "${storage.name}"` : "";
    return `${takesNoPart(name, message)}${instead}`;
  });
}

export function takesNoPart(name: string, message: string): string {
  return `storage "${name}" takes no part in this run: ${withoutName(name, message)}`;
}
