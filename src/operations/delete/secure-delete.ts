import type { Storage } from "../../storage/storage.ts";
import type { Session } from "../session.ts";

/**
 * Where one of the storages is to overwrite what is removed, says of each that backups were removed from, and where that does not make them
 * unreadable, why, and what protects them there.
 * @param emptied names of the storages that backups were removed from
 */
export async function sayWhatCanBeRead(
  { logger }: Session,
  storages: readonly Storage[],
  emptied: ReadonlySet<string>,
): Promise<void> {
  if (storages.every(({ overwritingFails }) => overwritingFails === undefined)) return;
  for (const storage of storages.filter(({ name }) => emptied.has(name))) {
    const overwrites = storage.overwritingFails !== undefined;
    const why = overwrites ? await storage.overwritingFails?.() : "what lies there can't be overwritten";
    if (why === undefined) continue;
    logger.warn(
      `secure_delete does not help in storage "${storage.name}": ${why}. The data keys of the backups that were removed there are destroyed instead, with their keys objects: without those of another copy nobody opens what is left of them, unless they were not encrypted`,
    );
  }
}
