/** How long a storage is waited for, and how much may be asked of it: what the configuration says of any type. */
export interface StorageLimits {
  /** How long a call is tried again that failed and may succeed later; 0: it is not. */
  readonly retryForMs: number;
  /** A connection over which nothing has moved for so long is cut. `undefined`: it is waited for. */
  readonly stallTimeoutMs: number | undefined;
  /** Calls at the same time. `undefined`: as many as there are. */
  readonly concurrency: number | undefined;
  readonly uploadBytesPerSecond: number | undefined;
  readonly downloadBytesPerSecond: number | undefined;
  /** All objects together may have so many bytes. */
  readonly quotaBytes: number | undefined;
}
