import type { CatalogBackup, CopyRecord } from "../../catalog/catalog.ts";
import { DELETED_NAME, METADATA_NAME } from "../../domain/object-names.ts";
import { type Holding, isWholeIn, seenIn } from "../copies/holdings.ts";
import { isCommitted } from "../replicate/committed.ts";

/**
 * A backup as the storage itself shows it: nothing may go because of one that the catalog believes to be there and that is not. Where
 * its deletion was begun here it goes on; where only another storage has the mark, it is judged like any other.
 */
export function asSeen(backup: CatalogBackup, holding: Holding): CatalogBackup {
  const seen = seenIn(holding, backup);
  const { name } = holding.storage;
  const known = backup.copies.find(({ storage }) => storage === name);
  const isMarked = seen.has(DELETED_NAME);
  // Killed at the very end nothing is left but what the catalog says.
  const isBegun = !seen.has(METADATA_NAME) && (isMarked || (backup.status === "deleting" && seen.size === 0));
  const { metadata } = backup;
  const status = backup.status === "deleting" && !isMarked ? (metadata?.status ?? backup.status) : backup.status;
  const copy: CopyRecord = { backupId: backup.id, storage: name, state: "missing", at: known?.at ?? backup.timestamp };
  const elsewhere = backup.copies.filter(({ storage }) => storage !== name);
  const changed = { ...backup, metadata, status: isBegun ? ("deleting" as const) : status };
  return { ...changed, copies: [...elsewhere, { ...copy, state: stateOf() }] };

  function stateOf(): CopyRecord["state"] {
    if (seen.size === 0 && known?.state !== "damaged" && !isBegun) return "missing";
    if (known?.state !== "complete" || !isCommitted(changed)) return "damaged";
    return isWholeIn(holding, changed) ? "complete" : "damaged";
  }
}
