import { copyDefect, packsOf, type SeenObjects } from "../../domain/copies.ts";
import { METADATA_NAME, roleOf } from "../../domain/object-names.ts";
import { roomLeft } from "../../domain/room.ts";
import { formatBytes } from "../../domain/size.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import { giveBack } from "../../platform/own-memory.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { findFrozen, requireThawed } from "../copies/frozen.ts";
import { type Copying, GoodObjects } from "../copies/good-objects.ts";
import { type Holding, holds, isMarkedDeleted, numberedNames, seenIn } from "../copies/holdings.ts";
import {
  type ExactProof,
  exactProofs,
  isKeys,
  keysProofs,
  metadataProof,
  notesProof,
  type Proof,
  sumsProof,
} from "../copies/proofs.ts";
import { mapInParallel } from "../parallel.ts";
import { impatience } from "../repository/impatience.ts";
import { findDeletedAncestor, listObjects } from "../repository/lineage-check.ts";
import { putChecked } from "../repository/put-checked.ts";
import type { CommittedBackup } from "./committed.ts";

/** Objects on their way at once: of packs, 16 MiB each. */
const PARALLEL_COPIES = 3;

interface CopyingBackup extends Copying {
  readonly target: Holding;
  /** Those that hold the backup, the best first. */
  readonly sources: readonly Holding[];
  readonly onBytes: (count: number) => void;
}

/** The target can't be written to: no other backup would fare better there. */
export class TargetFailure extends Error {
  readonly reason: BackupctlError;

  constructor(reason: BackupctlError) {
    super(reason.message, { cause: reason });
    this.reason = reason;
  }
}

/**
 * Copies what a storage lacks of one backup, whose ancestors are whole there, byte for byte, each object checked against the hash that
 * the backup's own metadata lead to. What lies there already and is right stays: a run that was killed goes on.
 *
 * Order of effects: packs and SHA256SUMS → keys and notes → own directory listed → metadata.json → the backup still there elsewhere, else
 * withdrawn → catalog. Gives the bytes that were sent. @throws `TargetFailure`; `BACKUP_CORRUPTED` for what is right in no copy
 */
export async function copyBackup(copying: CopyingBackup, backup: CommittedBackup): Promise<number> {
  const { session, repository, catalog, target, sources } = copying;
  const { metadata, storagePath: directory } = backup;
  if ([target, ...sources].some((holding) => isMarkedDeleted(holding, backup))) throw beingDeleted(backup);
  if (sources.length === 0) {
    throw new BackupctlError("STORAGE_FAILED", `no storage at hand holds backup ${backup.id}`, {
      hint: "Bring the storage that has it back; `backupctl show ID` lists the copies.",
    });
  }
  const ending = new AbortController();
  const signal = AbortSignal.any([session.signal, ending.signal]);
  const copies = sources.map(({ storage }) => storage);
  const good = new GoodObjects(copying, metadata, copies, signal);
  const seen = seenIn(target, backup);
  let sent = 0;

  const put = async (name: string, bytes: Buffer, sha256 = sha256Hex(bytes)): Promise<void> => {
    const object = { key: `${directory}/${name}`, bytes, sha256 };
    await onTarget(signal, async () => {
      // Of another size, or not what the sums say.
      if (seen.has(name)) await target.storage.remove(object.key, { signal });
      await putChecked(target.storage, object, copying.warn, { signal });
    });
    sent += bytes.length;
    copying.onBytes(bytes.length);
    giveBack(bytes);
  };
  const copy = async (proof: ExactProof): Promise<void> => {
    signal.throwIfAborted();
    const { name, mostBytes, sha256 } = proof;
    if (seen.get(name) === mostBytes && (await isRight(copying, signal, backup, proof))) return;
    await put(name, (await good.read(proof)).bytes, sha256);
  };

  try {
    const dataKey = await good.dataKey();
    const stored = await good.read(metadataProof(metadata, dataKey));
    const sums = await good.read(sumsProof(metadata));
    await requireRoom(copying, signal, backup, seen);
    const packs = exactProofs(metadata, sums.bytes).filter((pack) => seen.get(pack.name) !== pack.mostBytes);
    const keys = packs.map(({ name }) => `${directory}/${name}`);
    const storages = copies.map(({ name }) => name);
    const frozen = await findFrozen(repository, { storages, keys, signal });
    await requireThawed(frozen, backup.id, { session, catalog: async () => catalog });
    if (!seen.has(METADATA_NAME)) await removeForeignObjects(copying, signal, backup, seen);
    try {
      await mapInParallel(exactProofs(metadata, sums.bytes), PARALLEL_COPIES, (proof) =>
        copy(proof).catch((error: unknown) => {
          // The others must not go on for as long as a storage is asked again.
          ending.abort(error);
          throw error;
        }),
      );
    } catch (error) {
      throw ending.signal.aborted ? ending.signal.reason : error;
    }
    const numbered = numberedNames(sources, backup);
    for (const name of numbered.filter((each) => !seen.has(each))) {
      const proofs = isKeys(name)
        ? keysProofs(name, backup, { all: numbered, repository })
        : [notesProof(name, metadata, dataKey)];
      const bytes = await readNumbered(copying, good, proofs);
      if (bytes !== undefined) await put(name, bytes);
    }
    if (!seen.has(METADATA_NAME)) {
      await requireWhole(copying, signal, backup);
      await put(METADATA_NAME, stored.bytes);
      await requireStillThere(copying, backup);
    }
  } catch (error) {
    session.signal.throwIfAborted();
    throw error;
  }
  record(copying, backup, sent);
  return sent;
}

/** What an earlier try left may have been written by a storage that was about to fail; a committed copy is verify's to read. */
async function isRight(
  { target }: CopyingBackup,
  signal: AbortSignal,
  backup: CommittedBackup,
  { name, mostBytes, sha256, defectOf }: ExactProof,
): Promise<boolean> {
  if (holds(target, backup)) return true;
  const key = `${backup.storagePath}/${name}`;
  return onTarget(signal, async () => {
    const known = (await target.storage.stat(key, { signal }))?.sha256;
    if (known !== undefined) return known === sha256;
    const bytes = await target.storage.get(key, { offset: 0, length: mostBytes }, { signal });
    return bytes !== undefined && (await defectOf(bytes)) === undefined;
  });
}

/** Known to the byte here, so nothing is begun that can't be ended; another backup may be smaller. */
async function requireRoom(
  { target }: CopyingBackup,
  signal: AbortSignal,
  { id, metadata }: CommittedBackup,
  seen: SeenObjects,
): Promise<void> {
  const { freeBytes, quotaBytes } = await onTarget(signal, () => target.storage.space({ signal }));
  const missing = [...packsOf(metadata)].reduce((sum, [name, size]) => sum + (seen.get(name) === size ? 0 : size), 0);
  if (freeBytes === undefined || missing <= freeBytes) return;
  const { text, hint } = roomLeft(freeBytes, quotaBytes);
  const needed = `the copy of backup ${id} needs ${formatBytes(missing)}`;
  throw new BackupctlError("INSUFFICIENT_STORAGE", `storage "${target.storage.name}" ${text}, and ${needed}`, { hint });
}

/**
 * A run that left this storage behind may have stored there what its backup does not have in the end: a source that failed, or what it
 * tried the storage with. It harms nothing where the storage does not let go of it.
 */
async function removeForeignObjects(
  { target, warn }: CopyingBackup,
  signal: AbortSignal,
  { metadata, storagePath }: CommittedBackup,
  seen: SeenObjects,
): Promise<void> {
  const own = packsOf(metadata);
  for (const name of seen.keys()) {
    const role = roleOf(name);
    if (role !== "trial" && (role !== "pack" || own.has(name))) continue;
    try {
      await target.storage.remove(`${storagePath}/${name}`, { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!isBackupctlError(error)) throw error;
      return warn(`${storagePath} in storage "${target.storage.name}" keeps what its backup has not: ${error.message}`);
    }
  }
}

/** One that is right nowhere is left out with a warning: it proves nothing where it is, either. */
async function readNumbered(
  { warn }: Copying,
  good: GoodObjects,
  proofs: readonly Proof[],
): Promise<Buffer | undefined> {
  let defect = "";
  for (const proof of proofs) {
    try {
      return (await good.read(proof)).bytes;
    } catch (error) {
      if (!isBackupctlError(error, "BACKUP_CORRUPTED")) throw error;
      defect = error.message;
    }
  }
  warn(`${defect}; it is not copied`);
  return undefined;
}

/** As a backup's own run does before it commits. */
async function requireWhole({ target }: CopyingBackup, signal: AbortSignal, backup: CommittedBackup): Promise<void> {
  const { metadata, storagePath } = backup;
  const now = new Map(await onTarget(signal, () => listObjects(target.storage, storagePath)));
  const defect = copyDefect(metadata, now.set(METADATA_NAME, 0));
  if (defect === undefined) return;
  throw new BackupctlError(
    defect === "its keys are missing" ? "BACKUP_CORRUPTED" : "STORAGE_FAILED",
    `the copy of backup ${backup.id} in storage "${target.storage.name}" did not become whole: ${defect}`,
    { hint: "Run `backupctl verify ID` for the copy that it came from, then `backupctl replicate` again." },
  );
}

/** Another host may have deleted it meanwhile: it looks after it writes, and so do we. */
async function requireStillThere(
  { session, target, sources, away }: CopyingBackup,
  backup: CommittedBackup,
): Promise<void> {
  const { id, storagePath: path } = backup;
  const { signal } = session;
  const isGoneFrom = async (storage: Storage, options: OperationOptions): Promise<boolean> =>
    (await findDeletedAncestor(storage, [{ id, path }], options)) !== undefined;
  const isGoneFromSource = async ({ storage }: Holding): Promise<boolean> => {
    try {
      return !away.has(storage) && (await isGoneFrom(storage, impatience(session.clock, signal)));
    } catch (error) {
      signal.throwIfAborted();
      if (!isBackupctlError(error)) throw error;
      away.add(storage);
      return false;
    }
  };
  const verdicts = [
    await onTarget(signal, () => isGoneFrom(target.storage, { signal })),
    ...(await Promise.all(sources.map(isGoneFromSource))),
  ];
  if (!verdicts.includes(true)) return;
  await target.storage.remove(`${path}/${METADATA_NAME}`);
  for (const name of (await listObjects(target.storage, path)).keys()) await target.storage.remove(`${path}/${name}`);
  throw beingDeleted(backup);
}

function beingDeleted({ id }: CommittedBackup): BackupctlError {
  return new BackupctlError("BACKUP_NOT_FOUND", `backup ${id} is being deleted, so it is not copied`, {
    hint: `Finish that with \`backupctl delete ${id.slice(0, 8)}\`. Of a deletion that was given up \`backupctl cleanup\` takes the mark, a day after it began.`,
  });
}

async function onTarget<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (!isBackupctlError(error)) throw error;
    throw new TargetFailure(error);
  }
}

function record({ session, catalog, target, sources }: CopyingBackup, { id }: CommittedBackup, bytes: number): void {
  const at = session.clock.now().toISOString();
  const storage = target.storage.name;
  catalog.setCopy({ backupId: id, storage, state: "complete", at });
  if (bytes === 0) return;
  catalog.addEvent({
    at,
    action: "backup:replicate",
    user: session.user,
    backupId: id,
    status: "completed",
    detail: { storage, bytes, from: sources.map((source) => source.storage.name) },
  });
}
