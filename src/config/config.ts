import type { Duration, FiniteDuration } from "../domain/duration.ts";
import type { StoragePolicy } from "../domain/retention/policy.ts";
import type { Timing } from "../domain/schedule/times.ts";
import type { StorageLimits } from "../domain/storage-limits.ts";

/** The configuration as the rest of the program sees it: complete, checked, without secrets and without adapters' options. */
export interface Config {
  readonly version: 1;
  /** The site's name. */
  readonly name: string;
  /** An IANA time zone: where a day, a week, a month begin. */
  readonly timezone: string;
  readonly stateDir: string;
  /** The primary first. */
  readonly storages: readonly StorageConfig[];
  readonly encryption: EncryptionConfig;
  readonly compression: CompressionConfig;
  /** May be empty: an empty machine can list and restore with a storage and a key alone. */
  readonly sources: readonly SourceConfig[];
  readonly create: {
    /** Storages without a complete copy in which a create has failed. */
    readonly require: readonly string[];
  };
  readonly chain: { readonly maxChain: number; readonly fullEvery: FiniteDuration };
  readonly verify: { readonly onCreate: boolean | "full" };
  readonly retention: RetentionConfig;
  readonly schedules: readonly ScheduleConfig[];
  readonly notifiers: readonly { readonly name: string; readonly type: string }[];
  readonly targets: readonly TargetConfig[];
  /** Paths of external programs by their name. */
  readonly tools: Readonly<Record<string, string>>;
  readonly restore: { readonly maxGap: FiniteDuration };
  readonly orphanGrace: FiniteDuration;
  /** Worker threads; undefined: one a core. */
  readonly workers: number | undefined;
  readonly tags: readonly string[];
}

type StorageRole = "primary" | "replica" | "archive";

export interface StorageConfig {
  readonly name: string;
  readonly type: string;
  readonly role: StorageRole;
  readonly limits: StorageLimits;
  readonly retention: StoragePolicy;
}

interface EncryptionConfig {
  readonly enabled: boolean;
  /** `--no-encrypt` is refused. */
  readonly required: boolean;
  readonly keys: readonly { readonly name: string; readonly provider: string }[];
}

interface CompressionConfig {
  readonly algorithm: CompressionAlgorithm;
  /** 1 to 19 for zstd, 1 to 9 for gzip, 0 for none. */
  readonly level: number;
}

type CompressionAlgorithm = "zstd" | "gzip" | "none";

export interface SourceConfig {
  readonly name: string;
  readonly engine: string;
  readonly component: string;
  readonly category: string | undefined;
}

/** How long a backup of each class is kept. */
export interface RetentionConfig {
  readonly incremental: Duration;
  readonly daily: Duration;
  readonly weekly: Duration;
  readonly monthly: Duration;
  /** Only where the config names it: without it no backup becomes yearly. */
  readonly yearly: Duration | undefined;
  readonly snapshots: Duration;
  readonly manual: Duration;
  /** A cleanup that would remove a larger share of a storage's backups is refused. */
  readonly maxDeletePercent: number;
}

export interface ScheduleConfig {
  readonly name: string;
  readonly enabled: boolean;
  readonly timing: Timing;
  /** The name of its job. */
  readonly operation: string;
  /** As that job's schema has them. */
  readonly options: OptionValues;
  /** Names of notifiers: told when a run of it was completed, and when it was not. */
  readonly notify: { readonly onSuccess: readonly string[]; readonly onFailure: readonly string[] };
}

interface TargetConfig {
  readonly name: string;
  /** The sources that this target has places of its own for. */
  readonly sources: readonly string[];
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file's path, or `environment`. */
  readonly origin: string;
  /** False when problems were only warned about, so that a restore can go on. */
  readonly strict: boolean;
  readonly warnings: readonly string[];
  /** Every secret known so far, for the redactor; grows as secrets are resolved. */
  readonly secrets: ReadonlySet<string>;
  /**
   * The options that the storage's registry entry opens it with: secrets read from their files and commands, paths absolute.
   * Called only when the storage is used. @throws `STORAGE_NOT_FOUND` for an unknown name, `CONFIG_INVALID` for a secret
   * that can't be had.
   */
  resolveStorage(name: string): Promise<OptionValues>;
  /** Likewise. @throws `ENCRYPTION_KEY_NOT_FOUND` for an unknown name or a key that can't be had. */
  resolveKey(name: string): Promise<OptionValues>;
  /** Likewise. @throws `SOURCE_NOT_FOUND` for an unknown name. */
  resolveSource(name: string): Promise<OptionValues>;
  /** Likewise. @throws `CONFIG_INVALID` for an unknown name. */
  resolveNotifier(name: string): Promise<OptionValues>;
  /** What the target changes in the source's options: only what it names. @throws `TARGET_NOT_FOUND` for an unknown name. */
  resolveTarget(target: string, source: string): Promise<OptionValues>;
  /** The whole configuration in the file's own shape, defaults filled in, every secret as `***`. */
  shown(): Readonly<Record<string, unknown>>;
}

export type OptionValues = Readonly<Record<string, unknown>>;
