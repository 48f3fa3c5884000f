import { formatBytes } from "./size.ts";

/** With less than this none begins: how small it will be nobody knows before, and to run full in the middle costs the whole run. */
const LEAST_BYTES = 1024 * 1024;

/**
 * Whether a backup fits into a storage. `expectedBytes` is what the last one of its kind took: a new one can turn out smaller, but not half
 * as small.
 */
export function roomFor(
  freeBytes: number | undefined,
  expectedBytes: number | undefined,
): "enough" | "doubtful" | "none" {
  if (freeBytes === undefined) return "enough";
  const expected = expectedBytes ?? 0;
  if (freeBytes < LEAST_BYTES || freeBytes < expected / 2) return "none";
  return freeBytes < expected ? "doubtful" : "enough";
}

/** What is left in a storage, for a message that names it, and what makes more of it. `quotaBytes` where a quota leaves no more. */
export function roomLeft(
  freeBytes: number,
  quotaBytes: number | undefined,
): { readonly text: string; readonly hint: string } {
  const orDelete = "or delete backups that are past their date: `backupctl list`, `backupctl delete ID`.";
  const free = formatBytes(freeBytes);
  return quotaBytes === undefined
    ? { text: `has ${free} free`, hint: `Free some space there, ${orDelete}` }
    : {
        text: `has ${free} left of its quota of ${formatBytes(quotaBytes)}`,
        hint: `Raise the quota of this storage in the config, ${orDelete}`,
      };
}
