import { isBackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import { type Session, storageDefinition } from "../session.ts";
import { readObject } from "./read-object.ts";
import { runbookText } from "./runbook.ts";

const PROGRAM_KEY = "recovery/recover.mjs";
const RUNBOOK_KEY = "recovery/README.txt";
/** Hosts that share a storage describe their own sites there, at the same moment perhaps. */
const MOST_REPLACEMENTS = 5;

/**
 * Brings the recovery program and this site's runbook up to date in each storage. They describe, they are no backups: a
 * storage that keeps old objects from being replaced is only warned about.
 */
export async function refreshRecovery(
  session: Session,
  storages: readonly Storage[],
  repositoryId: string,
  warn: (message: string) => void,
): Promise<void> {
  const { config } = session.loaded;
  const places = await Promise.all(config.storages.map(({ name, type }) => describePlace(session, name, type)));
  const restoredByName = new Set(
    Object.values(session.adapters.engines).flatMap(({ engine, toMeans }) => (toMeans === "name" ? [engine] : [])),
  );
  const runbook = Buffer.from(runbookText({ config, repositoryId, storages: places, restoredByName }));
  const program = await session.adapters.recoveryProgram();
  for (const storage of storages) {
    for (const [key, bytes] of [
      [PROGRAM_KEY, program],
      [RUNBOOK_KEY, runbook],
    ] as const) {
      try {
        await replace(storage, key, bytes);
      } catch (error) {
        if (!isBackupctlError(error)) throw error;
        warn(`${key} in storage "${storage.name}" could not be brought up to date: ${error.message}`);
      }
    }
  }
}

/**
 * Says where the program is not the one that this release puts there: whoever restores with it trusts it with the keys.
 * With `mend` it is written anew.
 */
export async function lookAtProgram({ adapters, logger }: Session, storage: Storage, mend: boolean): Promise<void> {
  const where = `${PROGRAM_KEY} in storage "${storage.name}"`;
  try {
    const program = await adapters.recoveryProgram();
    const there = await readObject(storage, PROGRAM_KEY, program.length);
    if (there?.equals(program) === true) return;
    const what = there === undefined ? "is missing" : "is another release's, or somebody has changed it";
    if (mend) await replace(storage, PROGRAM_KEY, program);
    const remedy = "the next backup there writes it anew, as `backupctl init` and `backupctl verify --repair` do";
    logger.warn(`${where} ${what}: ${mend ? "it was written anew" : remedy}`);
  } catch (error) {
    if (!isBackupctlError(error) || error.code === "INTERRUPTED") throw error;
    logger.warn(`${where} could not be ${mend ? "looked at and mended" : "looked at"}: ${error.message}`);
  }
}

async function describePlace(session: Session, name: string, type: string) {
  const options = await session.loaded.resolveStorage(name);
  return { name, address: await storageDefinition(session, type).address(options) };
}

async function replace(storage: Storage, key: string, bytes: Buffer): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const old = await readObject(storage, key, bytes.length);
    if (old?.equals(bytes) === true) return;
    if (old !== undefined) await storage.remove(key);
    try {
      await storage.put(key, bytes);
      return;
    } catch (error) {
      // Another host has put its own since.
      if (!isBackupctlError(error, "OBJECT_CONFLICT") || attempt === MOST_REPLACEMENTS) throw error;
    }
  }
}
