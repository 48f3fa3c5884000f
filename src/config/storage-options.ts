import { z } from "zod";
import { durationMs, parseFiniteDuration } from "../domain/duration.ts";
import { parseSize } from "../domain/size.ts";
import type { StorageLimits } from "../domain/storage-limits.ts";
import { storageDefinitions } from "../storage/registry.ts";
import { durationField, sizeField } from "./fields.ts";

/** No timer can be set for longer: 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** More slowly, and an object of 16 MiB would take hours. */
const SLOWEST_BYTES_PER_SECOND = 1000;

/** The options that every storage of this type has beside its adapter's own. */
export function commonStorageOptions(type: string): Readonly<Record<string, z.ZodType>> {
  const { stall_timeout, ...others } = limitOptions(type);
  return {
    role: z
      .enum(["primary", "replica", "archive"])
      .optional()
      .describe("What this storage is for. By default the first one is the primary, the others are replicas."),
    ...others,
    ...(isLocal(type) ? {} : { stall_timeout }),
  };
}

/** True for an option without which a storage is as good as with it. */
export function isLimitOption(name: string): boolean {
  return Object.hasOwn(limitOptions(""), name);
}

/** What a storage that was checked says of its limits. */
export function storageLimits(type: string, storage: Readonly<Record<string, unknown>>): StorageLimits {
  const options = z.object(limitOptions(type)).parse(storage);
  return {
    retryForMs: durationMs(parseFiniteDuration(options.retry_for)),
    stallTimeoutMs: Math.min(LONGEST_TIMER_MS, durationMs(parseFiniteDuration(options.stall_timeout))),
    concurrency: options.concurrency,
    uploadBytesPerSecond: bytesOf(options.limit_upload),
    downloadBytesPerSecond: bytesOf(options.limit_download),
    quotaBytes: bytesOf(options.quota),
  };
}

function limitOptions(type: string) {
  const concurrency = z.int().min(1).max(64);
  return {
    retry_for: durationField({ zero: true })
      .default(isLocal(type) ? "0s" : "5m")
      .describe("How long a call that failed and may succeed later is tried again. 0s: not at all."),
    stall_timeout: durationField()
      .default("60s")
      .describe("A connection over which nothing has moved for so long is cut; the call is tried again."),
    concurrency: isLocal(type)
      ? concurrency.optional().describe("Calls at the same time. Default: any number.").meta({ example: 8 })
      : concurrency.default(4).describe("Calls at the same time."),
    limit_upload: sizeField(SLOWEST_BYTES_PER_SECOND)
      .optional()
      .describe("At most so much is written in a second, on average.")
      .meta({ example: "10MB" }),
    limit_download: sizeField(SLOWEST_BYTES_PER_SECOND)
      .optional()
      .describe("At most so much is read in a second, on average.")
      .meta({ example: "20MB" }),
    quota: sizeField()
      .optional()
      .describe("All objects in this storage may have so many bytes together.")
      .meta({ example: "500GB" }),
  };
}

function isLocal(type: string): boolean {
  return storageDefinitions[type]?.isLocal === true;
}

function bytesOf(size: string | undefined): number | undefined {
  return size === undefined ? undefined : parseSize(size);
}
