import type { BackupFilter } from "../catalog.ts";
import type { SqlValue } from "./connection.ts";

/** The SQL condition on `backups` that a filter means, with its parameters. */
export function conditionOf(filter: BackupFilter): { readonly sql: string; readonly parameters: readonly SqlValue[] } {
  const parts: (readonly [string, SqlValue])[] = [];
  if (filter.type !== undefined) parts.push(["type = ?", filter.type]);
  if (filter.mode !== undefined) parts.push(["mode = ?", filter.mode]);
  if (filter.category !== undefined) parts.push(["category = ?", filter.category]);
  if (filter.status !== undefined) {
    parts.push(["status IN (SELECT value FROM json_each(?))", JSON.stringify(filter.status)]);
  }
  if (filter.from !== undefined) parts.push(["started_ms >= ?", millisecondsOf(filter.from)]);
  if (filter.to !== undefined) parts.push(["started_ms < ?", millisecondsOf(filter.to)]);
  if (filter.tag !== undefined) {
    // Tags that notes give replace those of the metadata.
    parts.push([
      "EXISTS (SELECT 1 FROM json_each(coalesce(json_extract(notes, '$.tags'), tags)) WHERE value = ?)",
      filter.tag,
    ]);
  }
  if (filter.source !== undefined) {
    parts.push(["id IN (SELECT backup_id FROM artifacts WHERE source = ?)", filter.source]);
  }
  if (filter.component !== undefined) {
    parts.push(["id IN (SELECT backup_id FROM artifacts WHERE component = ?)", filter.component]);
  }
  return {
    sql: parts.length === 0 ? "1" : parts.map(([sql]) => sql).join(" AND "),
    parameters: parts.map(([, parameter]) => parameter),
  };
}

export function millisecondsOf(iso: string): number {
  const milliseconds = new Date(iso).getTime();
  if (Number.isNaN(milliseconds)) throw new RangeError(`"${iso}" is not an ISO time`);
  return milliseconds;
}
