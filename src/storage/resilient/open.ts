import type { StorageLimits } from "../../domain/storage-limits.ts";
import type { OperationOptions, Storage, StorageContext } from "../storage.ts";
import { attemptsFor, noOutage, type Outage } from "./attempts.ts";
import { hinted, withHint } from "./hinted.ts";
import { limited } from "./limited.ts";
import { pacedDownloads } from "./paced-downloads.ts";
import { pacedUploads } from "./paced-uploads.ts";
import { withQuota } from "./quota.ts";
import { persist, retrying } from "./retrying.ts";
import type { StorageRun } from "./run.ts";

/** What each storage's calls met, by its name: who opens it once more does not wait again for what was waited for in vain. */
export type Outages = Map<string, Outage>;

/** How a storage is opened that keeps to its limits. */
export interface ResilientOpening {
  readonly name: string;
  readonly limits: StorageLimits;
  readonly run: StorageRun;
  /** Of this run. */
  readonly outages?: Outages | undefined;
  /** What to do about a failure where the adapter does not know it. */
  readonly hint?: string | undefined;
  readonly open: (context: StorageContext) => Promise<Storage>;
}

/**
 * Opens a storage that tries again what may succeed later, the opening too, and keeps to its limits.
 *
 * From the inside: a slot is held during a try, not between two of them. What is sent again has to keep to the rate again; what is
 * read comes in pieces, each of which is tried again for itself. The quota counts a put once, however often it is tried.
 */
export async function openResilient(
  {
    name,
    limits,
    run,
    outages,
    hint = `See what works and what does not with \`backupctl storage check ${name}\`.`,
    open,
  }: ResilientOpening,
  options?: OperationOptions,
): Promise<Storage> {
  const { retryForMs, stallTimeoutMs, concurrency, uploadBytesPerSecond, downloadBytesPerSecond, quotaBytes } = limits;
  const outage = outages?.get(name) ?? noOutage();
  outages?.set(name, outage);
  const start = attemptsFor(name, retryForMs, run, outage);
  const context = stallTimeoutMs === undefined ? { name } : { name, stallTimeoutMs };
  let storage = await withHint(hint, () => persist(start(options), () => open(context)));
  if (concurrency !== undefined) storage = limited(storage, concurrency);
  if (uploadBytesPerSecond !== undefined) storage = pacedUploads(storage, uploadBytesPerSecond, run);
  if (retryForMs > 0) storage = retrying(storage, start);
  if (downloadBytesPerSecond !== undefined) storage = pacedDownloads(storage, downloadBytesPerSecond, run);
  if (quotaBytes !== undefined) storage = withQuota(storage, quotaBytes);
  return hinted(storage, hint);
}
