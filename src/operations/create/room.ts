import type { Catalog } from "../../catalog/catalog.ts";
import type { SourceConfig } from "../../config/config.ts";
import { isGood } from "../../domain/known-backup.ts";
import type { ParentDecision } from "../../domain/parent.ts";
import { roomFor, roomLeft } from "../../domain/room.ts";
import type { Selection } from "../../domain/selection.ts";
import { formatBytes } from "../../domain/size.ts";
import { BackupctlError } from "../../errors.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";

interface Planned {
  readonly catalog: Catalog;
  readonly selection: Selection<SourceConfig>;
  readonly decision: ParentDecision;
}

/**
 * What to warn of where it is not sure that the backup fits. An incremental one may be of any size; of a full one the last is the measure.
 * @throws `INSUFFICIENT_STORAGE`
 */
export async function requireRoom(
  { catalog, selection, decision }: Planned,
  storage: Storage,
  options?: OperationOptions,
): Promise<string | undefined> {
  const { freeBytes, quotaBytes } = await storage.space(options);
  const expected = decision.mode === "full" ? sizeOfLastFull(selection, catalog) : undefined;
  const verdict = roomFor(freeBytes, expected);
  if (verdict === "enough" || freeBytes === undefined) return undefined;
  const needed = expected === undefined ? "" : `, and the last full backup took ${formatBytes(expected)}`;
  const left = roomLeft(freeBytes, quotaBytes);
  const message = `storage "${storage.name}" ${left.text}${needed}`;
  if (verdict === "doubtful") return `${message}: this one may not fit`;
  throw new BackupctlError("INSUFFICIENT_STORAGE", message, { hint: left.hint });
}

function sizeOfLastFull({ type, sources }: Selection<SourceConfig>, catalog: Catalog): number | undefined {
  const wanted = sources.map(({ name }) => name);
  const last = catalog
    .list({ type, mode: "full", status: ["completed", "completed_with_errors"], limit: 1 })
    .backups.find(isGood)?.metadata;
  const held = last?.sources.map(({ name }) => name) ?? [];
  return held.every((name) => wanted.includes(name)) ? last?.stored_size : undefined;
}
