import { addDuration, type Duration, type FiniteDuration } from "../duration.ts";
import { type KnownBackup, retentionUntilOf } from "../known-backup.ts";
import type { Period } from "../period.ts";

/** How many backups of each source are kept beside those whose time is not over: the newest, or the newest of each of so many periods. */
export interface KeepRules {
  readonly last?: number | undefined;
  readonly periods: Readonly<Partial<Record<Period, number | undefined>>>;
  /** All that were made so long before the newest. */
  readonly within?: FiniteDuration | undefined;
  /** All with one of these tags. */
  readonly tags: readonly string[];
}

/** What is kept in one storage. */
export interface StoragePolicy {
  /** Classes that stay longer here than the date that each backup was made with. */
  readonly longer: Readonly<Partial<Record<string, Duration>>>;
  readonly keep: KeepRules;
  /** Of each type, manual ones not counted: time alone keeps no older ones. */
  readonly maxBackups: number | undefined;
}

/**
 * Until when time keeps a backup in a storage; `null` is for ever. The date that it was made with is a promise: a storage's own
 * periods only prolong it.
 */
export function keptUntil(backup: KnownBackup, { longer }: Pick<StoragePolicy, "longer">): Date | null {
  const promised = retentionUntilOf(backup);
  const period = longer[backup.category];
  if (promised === null) return null;
  const own = new Date(promised);
  if (period === undefined) return own;
  const prolonged = addDuration(new Date(backup.timestamp), period);
  return prolonged === undefined || prolonged.getTime() > own.getTime() ? (prolonged ?? null) : own;
}
