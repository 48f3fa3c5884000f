import { DELETED_NAME, METADATA_NAME } from "../../domain/object-names.ts";
import type { DeleteResult } from "../operations.ts";
import { mapInParallel } from "../parallel.ts";
import type { Place } from "./steps.ts";

const LOOKS_AT_ONCE = 8;

/**
 * What a storage that keeps old versions goes on keeping of these places, since nobody may remove it yet. To be asked before the deletion, which
 * hides it. metadata.json is locked longest; of a deletion that is gone on with, what is left of it tells.
 */
export async function lockedVersions(places: readonly Place[], signal: AbortSignal): Promise<DeleteResult["locked"]> {
  const found = await mapInParallel(places, LOOKS_AT_ONCE, async ({ storage, backup, objects }) => {
    const keys = objects.map(({ key }) => key).filter((key) => !key.endsWith(`/${DELETED_NAME}`));
    const asked = keys.find((key) => key === `${backup.storagePath}/${METADATA_NAME}`) ?? keys[0];
    const until = asked === undefined ? undefined : await storage.lockedUntil?.(asked, { signal });
    const bytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return until === undefined ? [] : [{ storage: storage.name, bytes, until }];
  });
  return [...Map.groupBy(found.flat(), ({ storage }) => storage)].map(([storage, locked]) => ({
    storage,
    bytes: locked.reduce((sum, { bytes }) => sum + bytes, 0),
    until: new Date(Math.max(...locked.map(({ until }) => until.getTime()))),
  }));
}
