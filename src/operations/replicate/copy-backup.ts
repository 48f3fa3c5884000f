import type { Catalog } from "../../catalog/catalog.ts";
import { copyDefect, packsOf, type SeenObjects } from "../../domain/copies.ts";
import { METADATA_NAME, parseNumberedName, roleOf, SHA256SUMS_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { giveBack } from "../../format/own-memory.ts";
import { MAX_METADATA_BYTES } from "../../format/parse-json.ts";
import { maxSumsBytes, parseSha256Sums } from "../../format/sha256sums.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import { impatience } from "../repository/impatience.ts";
import { findDeletedAncestor, listObjects } from "../repository/lineage-check.ts";
import { putChecked } from "../repository/put-checked.ts";
import type { Repository } from "../repository/repository.ts";
import type { Session } from "../session.ts";
import type { CommittedBackup } from "./committed.ts";
import { GoodObjects } from "./good-objects.ts";
import { type Holding, holds, isMarkedDeleted, seenIn } from "./holdings.ts";
import { metadataDefect, numberedDefect } from "./proofs.ts";

/** Objects on their way at once: of packs, 16 MiB each. */
const PARALLEL_COPIES = 3;
const MAX_NUMBERED_BYTES = 2 ** 20;

export interface Copying {
  readonly session: Session;
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly target: Holding;
  /** The best first. */
  readonly sources: readonly Holding[];
  /** Sources that do not answer any longer. */
  readonly away: Set<Storage>;
  readonly warn: (message: string) => void;
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
export async function copyBackup(copying: Copying, backup: CommittedBackup): Promise<number> {
  const { session, target, sources, away } = copying;
  const { metadata, storagePath: directory } = backup;
  const holders = sources.filter((source) => holds(source, backup));
  if ([target, ...sources].some((holding) => isMarkedDeleted(holding, backup))) throw beingDeleted(backup);
  if (holders.length === 0) {
    throw new BackupctlError("STORAGE_FAILED", `no storage at hand holds backup ${backup.id}`, {
      hint: "Bring the storage that has it back; `backupctl show ID` lists the copies.",
    });
  }
  const ending = new AbortController();
  const signal = AbortSignal.any([session.signal, ending.signal]);
  const good = new GoodObjects(
    directory,
    holders.map(({ storage }) => storage),
    { signal, away, onDamage: (storage, what) => sayDamage(copying, backup, storage, what) },
  );
  const seen = seenIn(target, backup);
  let sent = 0;

  const put = async (name: string, bytes: Buffer): Promise<void> => {
    const object = { key: `${directory}/${name}`, bytes, sha256: sha256Hex(bytes) };
    await onTarget(signal, async () => {
      // Of another size, or not what the sums say.
      if (seen.has(name)) await target.storage.remove(object.key, { signal });
      await putChecked(target.storage, object, copying.warn, { signal });
    });
    sent += bytes.length;
    copying.onBytes(bytes.length);
    giveBack(bytes);
  };
  const copy = async ({ name, size, sha256 }: Wanted): Promise<void> => {
    signal.throwIfAborted();
    if (seen.get(name) === size && (await isRight(copying, signal, seen, { name, size, sha256, directory }))) return;
    await put(
      name,
      await good.read(name, size, (bytes) => (sha256Hex(bytes) === sha256 ? undefined : "is not what SHA256SUMS says")),
    );
  };

  try {
    const metadataBytes = await good.read(METADATA_NAME, MAX_METADATA_BYTES, (bytes, storage) =>
      metadataDefect(copying.repository, { backup, storage, holders: holders.map((each) => each.storage), bytes }),
    );
    const sums = await good.read(SHA256SUMS_NAME, maxSumsBytes(metadata), (bytes) =>
      `sha256:${sha256Hex(bytes)}` === metadata.checksum ? undefined : "is not what metadata.json says",
    );
    await requireRoom(copying, signal, backup, seen);
    if (!seen.has(METADATA_NAME)) await removeForeignObjects(copying, signal, backup, seen);
    try {
      await mapInParallel(wantedOf(backup, sums), PARALLEL_COPIES, (wanted) =>
        copy(wanted).catch((error: unknown) => {
          // The others must not go on for as long as a storage is asked again.
          ending.abort(error);
          throw error;
        }),
      );
    } catch (error) {
      throw ending.signal.aborted ? ending.signal.reason : error;
    }
    for (const name of numberedNames(holders, backup).filter((each) => !seen.has(each))) {
      const bytes = await readNumbered(copying, good, backup, name);
      if (bytes !== undefined) await put(name, bytes);
    }
    if (!seen.has(METADATA_NAME)) {
      await requireWhole(copying, signal, backup);
      await put(METADATA_NAME, metadataBytes);
      await requireStillThere(copying, holders, backup);
    }
  } catch (error) {
    session.signal.throwIfAborted();
    throw error;
  }
  record(copying, backup, sent);
  return sent;
}

interface Wanted {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

function wantedOf({ metadata, storagePath }: CommittedBackup, sums: Buffer): readonly Wanted[] {
  const hashes = parseSha256Sums(sums, storagePath);
  const packs = [...packsOf(metadata)].map(([name, size]) => {
    const sha256 = hashes.get(name);
    if (sha256 !== undefined) return { name, size, sha256 };
    throw new BackupctlError("BACKUP_CORRUPTED", `${SHA256SUMS_NAME} of ${storagePath} does not list ${name}`);
  });
  return [...packs, { name: SHA256SUMS_NAME, size: sums.length, sha256: sha256Hex(sums) }];
}

/** What an earlier try left may have been written by a storage that was about to fail; a committed copy is verify's to read. */
async function isRight(
  { target }: Copying,
  signal: AbortSignal,
  seen: SeenObjects,
  { directory, name, size, sha256 }: Wanted & { readonly directory: string },
): Promise<boolean> {
  if (seen.has(METADATA_NAME)) return true;
  const key = `${directory}/${name}`;
  return onTarget(signal, async () => {
    const known = (await target.storage.stat(key, { signal }))?.sha256;
    if (known !== undefined) return known === sha256;
    const bytes = await target.storage.get(key, { offset: 0, length: size }, { signal });
    return bytes !== undefined && sha256Hex(bytes) === sha256;
  });
}

/** Known to the byte here, so nothing is begun that can't be ended. */
async function requireRoom(
  { target }: Copying,
  signal: AbortSignal,
  { id, metadata }: CommittedBackup,
  seen: SeenObjects,
): Promise<void> {
  const { freeBytes } = await onTarget(signal, () => target.storage.space({ signal }));
  const missing = [...packsOf(metadata)].reduce((sum, [name, size]) => sum + (seen.get(name) === size ? 0 : size), 0);
  if (freeBytes === undefined || missing <= freeBytes) return;
  throw new TargetFailure(
    new BackupctlError(
      "INSUFFICIENT_STORAGE",
      `storage "${target.storage.name}" has ${freeBytes} bytes free, and the copy of backup ${id} needs ${missing}`,
      { hint: "Free some space there, or delete backups that are past their date, then run `backupctl replicate`." },
    ),
  );
}

/**
 * A run that left this storage behind may have stored there what its backup does not have in the end: a source that failed, or what it
 * tried the storage with. It harms nothing where the storage does not let go of it.
 */
async function removeForeignObjects(
  { target, warn }: Copying,
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

function numberedNames(holders: readonly Holding[], backup: CommittedBackup): readonly string[] {
  const names = holders.flatMap((holder) => [...seenIn(holder, backup).keys()]);
  return [...new Set(names)].filter((name) => parseNumberedName(name) !== undefined);
}

/** One that is right nowhere is left out with a warning: it proves nothing where it is, either. */
async function readNumbered(
  { warn }: Copying,
  good: GoodObjects,
  backup: CommittedBackup,
  name: string,
): Promise<Buffer | undefined> {
  try {
    return await good.read(name, MAX_NUMBERED_BYTES, (bytes) => numberedDefect(backup, { name, bytes }));
  } catch (error) {
    if (!isBackupctlError(error, "BACKUP_CORRUPTED")) throw error;
    warn(`${error.message}; it is not copied`);
    return undefined;
  }
}

/** As a backup's own run does before it commits. */
async function requireWhole({ target }: Copying, signal: AbortSignal, backup: CommittedBackup): Promise<void> {
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
  { session, target, away }: Copying,
  holders: readonly Holding[],
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
    ...(await Promise.all(holders.map(isGoneFromSource))),
  ];
  if (!verdicts.includes(true)) return;
  await target.storage.remove(`${path}/${METADATA_NAME}`);
  for (const name of (await listObjects(target.storage, path)).keys()) await target.storage.remove(`${path}/${name}`);
  throw beingDeleted(backup);
}

function beingDeleted({ id }: CommittedBackup): BackupctlError {
  return new BackupctlError("BACKUP_NOT_FOUND", `backup ${id} is being deleted, so it is not copied`, {
    hint: `Finish that with \`backupctl delete ${id.slice(0, 8)}\`, or run \`backupctl catalog rebuild\`.`,
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

function sayDamage({ catalog, warn, session }: Copying, { id }: CommittedBackup, storage: Storage, what: string): void {
  warn(`${what}; another copy of it is used. Repair it: \`backupctl verify ${id} --storage ${storage.name} --repair\``);
  catalog.setCopy({ backupId: id, storage: storage.name, state: "damaged", at: session.clock.now().toISOString() });
}

function record({ session, catalog, target, sources }: Copying, { id }: CommittedBackup, bytes: number): void {
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
