import { BackupctlError } from "../../errors.ts";
import type { OperationOptions, Storage, StoredObject } from "../../storage/storage.ts";

/** How often an object that came out wrong is put again. */
const MORE_TRIES = 3;

export interface WholeObject {
  readonly key: string;
  readonly bytes: Uint8Array;
  /** In hex. */
  readonly sha256: string;
}

/**
 * Puts an object and looks at what the storage says that it has. One of another size, or of another SHA-256 where the service tells it,
 * is removed and put again, each time with a warning. @throws `STORAGE_FAILED` if it never comes out right, and what `put` throws
 */
export async function putChecked(
  storage: Storage,
  object: WholeObject,
  warn: (message: string) => void,
  options: OperationOptions = {},
): Promise<void> {
  const { key, bytes, sha256 } = object;
  for (let again = 0; ; again++) {
    const defect = defectOf(await storage.put(key, bytes, { ...options, sha256 }), object);
    if (defect === undefined) return;
    const what = `${key} in storage "${storage.name}" ${defect}`;
    await storage.remove(key, options);
    if (again === MORE_TRIES) {
      throw new BackupctlError("STORAGE_FAILED", `${what}, ${MORE_TRIES + 1} times`, {
        hint: "The storage does not keep what it is given. Test its disk, or what lies between: `backupctl storage check NAME`.",
      });
    }
    warn(`${what}: it is removed and put again`);
  }
}

function defectOf(stored: StoredObject, { bytes, sha256 }: WholeObject): string | undefined {
  if (stored.sizeBytes !== bytes.length) return `has ${stored.sizeBytes} bytes after its put, not ${bytes.length}`;
  if (stored.sha256 === undefined || stored.sha256 === sha256) return undefined;
  return `has the SHA-256 ${stored.sha256} after its put, not ${sha256}`;
}
