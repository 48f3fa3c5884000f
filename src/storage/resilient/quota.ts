import { DELETED_NAME } from "../../domain/object-names.ts";
import { formatBytes } from "../../domain/size.ts";
import { BackupctlError } from "../../errors.ts";
import type { OperationOptions, Storage } from "../storage.ts";
import { changed } from "./changed.ts";

/**
 * A storage that takes no more than `quotaBytes`, and tells what is left of them. What lies there is summed up once, and what this
 * program puts and removes is counted from then on; before a put is refused, what lies there is summed up again.
 */
export function withQuota(inner: Storage, quotaBytes: number): Storage {
  let usedBytes: number | undefined;
  let measuring: Promise<number> | undefined;
  let underWayBytes = 0;

  async function sumUp(options: OperationOptions | undefined): Promise<number> {
    let bytes = 0;
    for await (const { sizeBytes } of inner.list("", options)) bytes += sizeBytes;
    usedBytes = bytes;
    return bytes;
  }

  /** One listing for all that ask meanwhile. */
  function measure(options: OperationOptions | undefined): Promise<number> {
    measuring ??= sumUp(options).finally(() => {
      measuring = undefined;
    });
    return measuring;
  }

  function count(bytes: number): void {
    if (usedBytes !== undefined) usedBytes += bytes;
  }

  /** Looks and reserves in one: of several puts at the same time each sees what the others will take. */
  function reserve(key: string, bytes: number): boolean {
    if ((usedBytes ?? 0) + underWayBytes + bytes > quotaBytes && !makesRoom(key)) return false;
    underWayBytes += bytes;
    return true;
  }

  async function requireRoom(key: string, bytes: number, options: OperationOptions | undefined): Promise<void> {
    if (usedBytes === undefined) await measure(options);
    if (reserve(key, bytes)) return;
    await measure(options);
    if (reserve(key, bytes)) return;
    throw new BackupctlError(
      "INSUFFICIENT_STORAGE",
      `storage "${inner.name}" would be over its quota of ${formatBytes(quotaBytes)} with ${key}`,
      { hint: "Make room with `backupctl delete`, or raise the quota of this storage in the config." },
    );
  }

  return changed(inner, {
    async put(key, bytes, options) {
      await requireRoom(key, bytes.length, options);
      try {
        const stored = await inner.put(key, bytes, options);
        count(bytes.length);
        return stored;
      } finally {
        underWayBytes -= bytes.length;
      }
    },
    async remove(key, options) {
      const known = usedBytes === undefined ? undefined : await inner.stat(key, options);
      await inner.remove(key, options);
      if (known !== undefined) count(-known.sizeBytes);
    },
    async space(options) {
      const { freeBytes = Number.POSITIVE_INFINITY } = await inner.space(options);
      const left = Math.max(0, quotaBytes - (usedBytes ?? (await measure(options))) - underWayBytes);
      if (freeBytes < left) return { freeBytes, totalBytes: quotaBytes };
      return { freeBytes: left, totalBytes: quotaBytes, quotaBytes };
    },
  });
}

/** The mark of a deletion goes with what it marks: over the quota nothing could be deleted without. */
function makesRoom(key: string): boolean {
  return key.endsWith(`/${DELETED_NAME}`);
}
