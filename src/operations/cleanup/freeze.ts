import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { childrenFirst } from "../../domain/deletion.ts";
import { parsePackName, splitObjectKey } from "../../domain/object-names.ts";
import type { Move } from "../../domain/retention/cleanup.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import type { OperationContext } from "../context.ts";
import { mapInParallel } from "../parallel.ts";
import { requireSound } from "./archive.ts";

const MOVES_AT_ONCE = 8;

export interface FrozenArchive {
  readonly frozen: readonly Move[];
  /** Why something stayed as it was. */
  readonly failure: BackupctlError | undefined;
}

/**
 * Moves the packs of data of all backups that are whole in an archive to its cold class, if its options name one, when they were read in
 * full there. Roots, indexes and all else stay where they can be read at once. What other backups build on comes last: killed anywhere, the
 * next cleanup can still read what it has to. Called with the lock held.
 * @param told those of which it was said already why they have not come there
 */
export async function freezeArchive(
  context: OperationContext,
  catalog: Catalog,
  storage: Storage,
  told: ReadonlySet<BackupId>,
): Promise<FrozenArchive> {
  const { cold, name: to } = storage;
  const { signal, logger } = context.session;
  if (cold?.freeze === undefined) return { frozen: [], failure: undefined };
  const warm = await readablePacks(storage);
  const isWhole = ({ id, copies, status, storagePath }: CatalogBackup): boolean =>
    !told.has(id) &&
    status !== "deleting" &&
    warm.has(storagePath) &&
    copies.some(({ storage: name, state }) => name === to && state === "complete");
  const failures: BackupctlError[] = [];
  const doEach = async (
    backups: readonly CatalogBackup[],
    work: (backup: CatalogBackup) => Promise<unknown>,
  ): Promise<readonly CatalogBackup[]> => {
    const done: CatalogBackup[] = [];
    for (const backup of backups) {
      try {
        await work(backup);
        done.push(backup);
      } catch (error) {
        signal.throwIfAborted();
        if (!isBackupctlError(error)) throw error;
        failures.push(notMoved(backup.id, to, error));
      }
    }
    return done;
  };
  const sound = await doEach(childrenFirst(catalog.list({}).backups.filter(isWhole)), ({ id }) =>
    requireSound(context, catalog, { backupId: id, to }),
  );
  const frozen = await doEach(sound, ({ storagePath }) =>
    mapInParallel(warm.get(storagePath) ?? [], MOVES_AT_ONCE, async (key) => cold.freeze?.(key, { signal })),
  );
  const [failure, ...others] = failures;
  for (const { message } of others) logger.warn(message);
  return { frozen: frozen.map(({ id }) => ({ backupId: id, to })), failure };
}

function notMoved(id: BackupId, to: string, error: BackupctlError): BackupctlError {
  const { code, message, hint = "The next cleanup tries again." } = error;
  return new BackupctlError(code, `backup ${id} is not moved to the cold class of "${to}": ${message}`, {
    cause: error,
    hint,
  });
}

/** Keys of packs of data, by directory. */
async function readablePacks(storage: Storage): Promise<ReadonlyMap<string, readonly string[]>> {
  const packs = new Map<string, string[]>();
  for await (const { key, cold } of storage.list("")) {
    const { directory, name } = splitObjectKey(key) ?? { directory: "", name: "" };
    if (cold === true || parsePackName(name)?.artifact.part !== "data") continue;
    packs.set(directory, [...(packs.get(directory) ?? []), key]);
  }
  return packs;
}
