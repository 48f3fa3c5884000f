import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { DecodedNotes } from "../../format/notes.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import { findFrozen, thaw } from "../copies/frozen.ts";
import { type Copying, type GoodObject, GoodObjects } from "../copies/good-objects.ts";
import { type Holding, numberedNames } from "../copies/holdings.ts";
import { exactProofs, isKeys, keysProofs, metadataProof, notesProof, type Proof, sumsProof } from "../copies/proofs.ts";
import type { RepairedObject } from "../operations.ts";
import { mapInParallel } from "../parallel.ts";
import { putChecked } from "../repository/put-checked.ts";
import { readObject } from "../repository/read-object.ts";
import type { StoredBackup } from "../repository/repository.ts";

/** Two packs each: the one that is there, and the one that takes its place. */
const PACKS_AT_ONCE = 2;

export interface Mending extends Copying {
  readonly target: Holding;
  /** Those that it is mended from, the best first. */
  readonly others: readonly Holding[];
  /** What was found sound may still lack keys or notes that only another copy has. */
  readonly extent: "all" | "keys and notes";
}

interface Mended {
  readonly repaired: readonly RepairedObject[];
  /** Nothing is left that is not sound. */
  readonly isWhole: boolean;
}

/**
 * Mends the directory of one backup, of which `stored` was proven. metadata.json comes last.
 * @param keysSha256 of the keys object that is known to have been written
 */
export async function mendDirectory(
  mending: Mending,
  { metadata, dataKey }: StoredBackup,
  keysSha256: string | undefined,
): Promise<Mended> {
  const { repository, target, others, extent } = mending;
  const copies = others.map(({ storage }) => storage);
  const good = new GoodObjects(mending, metadata, copies);
  const repaired: RepairedObject[] = [];
  let isWhole = true;

  /** Gives what lies there in the end, if it is sound. */
  const mend = async (proof: Proof, replacement = proof): Promise<Buffer | undefined> => {
    const key = `${metadata.storage_path}/${proof.name}`;
    const { bytes, from } = await mendObject(mending, good, key, { proof, replacement });
    if (from !== undefined) repaired.push({ object: key, storage: from });
    return bytes;
  };
  const mendAny = async (proofs: readonly Proof[]): Promise<Buffer | undefined> => {
    for (const proof of proofs) {
      const bytes = await mend(proof);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  };
  const note = (bytes: Buffer | undefined): void => {
    isWhole &&= bytes !== undefined;
  };

  if (extent === "all") {
    const sums = await mend(sumsProof(metadata));
    note(sums);
    const packs = sums === undefined ? [] : exactProofs(metadata, sums);
    await mapInParallel(packs, PACKS_AT_ONCE, async (pack) => note(await mend(pack)));
  }
  const numbered = numberedNames([target, ...others], { storagePath: metadata.storage_path });
  for (const name of numbered) {
    if (isKeys(name)) note(await mendAny(keysProofs(name, { metadata, keysSha256 }, { all: numbered, repository })));
    // What somebody wrote without the key may stay, and is taken from nowhere.
    else note(await mend(notesProof(name, metadata, dataKey), notesProof(name, metadata, dataKey, areUnproven)));
  }
  if (extent === "all") note(await mend(metadataProof(metadata, dataKey)));
  return { repaired, isWhole };
}

/** What lies in the target in the end, if it is sound, and of which storage it was taken. */
async function mendObject(
  mending: Mending,
  good: GoodObjects,
  key: string,
  { proof, replacement }: { readonly proof: Proof; readonly replacement: Proof },
): Promise<{ readonly bytes: Buffer | undefined; readonly from?: string }> {
  const { session, target, warn } = mending;
  const { storage } = target;
  session.signal.throwIfAborted();
  const there = await readObject(storage, key, proof.mostBytes);
  if (there !== undefined && (await proof.defectOf(there)) === undefined) return { bytes: there };
  const found = await readIfGood(mending, good, key, replacement);
  if (found === undefined) return { bytes: undefined };
  const { bytes } = found;
  // From memory, and not to be interrupted in between: an object is never overwritten, so it is gone for this moment.
  if (there !== undefined) await storage.remove(key);
  await putChecked(storage, { key, bytes, sha256: sha256Hex(bytes) }, warn);
  const now = await readObject(storage, key, proof.mostBytes);
  if (now?.equals(bytes) === true) return { bytes, from: found.storage.name };
  throw new BackupctlError("STORAGE_FAILED", `${key} in storage "${storage.name}" is not what was put there`, {
    hint: "Look at the storage's disk, then run the same command again: it goes on with what is not sound.",
  });
}

/** What is good in no copy stays as it is; what has to be thawed is asked for, and mended by the next repair. */
async function readIfGood(
  { session, catalog, repository, others, warn }: Mending,
  good: GoodObjects,
  key: string,
  proof: Proof,
): Promise<GoodObject | undefined> {
  try {
    return await good.read(proof);
  } catch (error) {
    if (!isBackupctlError(error) || error.code === "INTERRUPTED") throw error;
    if (error.code === "OBJECT_COLD") {
      const storages = others.map((holding) => holding.storage.name);
      const [frozen] = await findFrozen(repository, { storages, keys: [key], signal: session.signal });
      if (frozen !== undefined) await thaw(frozen, { session, catalog: async () => catalog });
      warn(`${error.message}; it was asked for: repair again when it can be read`);
    }
    return undefined;
  }
}

function areUnproven({ verified }: DecodedNotes): string | undefined {
  return verified ? undefined : "is proven by no key at hand";
}
