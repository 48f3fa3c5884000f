import type { Catalog } from "../../catalog/catalog.ts";
import { isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";

/** That packs of a backup were asked for. No service tells afterwards when that was. */
const THAW_ACTION = "backup:thaw";

interface Asked {
  readonly storage: string;
  /** Of the backups that the packs are of. */
  readonly directories: ReadonlySet<string>;
}

/** Remembers by when they can be read. What can't be recorded was asked for all the same. */
export async function recordThaw(
  { session, catalog: open }: Pick<OperationContext, "session" | "catalog">,
  { storage, directories }: Asked,
  expectedAt: Date,
): Promise<void> {
  try {
    const catalog = await open("write");
    const at = session.clock.now().toISOString();
    const detail = { storage, expected_at: expectedAt.toISOString() };
    for (const { id: backupId, storagePath } of catalog.list({}).backups) {
      if (!directories.has(storagePath)) continue;
      catalog.addEvent({ at, action: THAW_ACTION, user: session.user, backupId, status: "completed", detail });
    }
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    session.logger.warn(`when storage "${storage}" was asked for a thaw is not recorded: ${error.message}`);
  }
}

/** By when all that this host has asked for can be read; `undefined` where it has not, or the time is over. */
export function thawExpectedAt(catalog: Catalog, { storage, directories }: Asked, now: Date): Date | undefined {
  const paths = new Map(catalog.list({}).backups.map(({ id, storagePath }) => [storagePath, id]));
  const times = Array.from(directories, (directory) => {
    const backupId = paths.get(directory);
    const events = backupId === undefined ? [] : catalog.events({ backupId });
    const last = events.find(({ action, detail }) => action === THAW_ACTION && detail.storage === storage);
    return Date.parse(String(last?.detail.expected_at));
  });
  const latestMs = Math.max(...times);
  return latestMs > now.getTime() ? new Date(latestMs) : undefined;
}
