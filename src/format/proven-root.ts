import type { BackupMetadata, SourceMetadata, StoredArtifact } from "../domain/backup.ts";
import { packName, SHA256SUMS_NAME } from "../domain/object-names.ts";
import { giveBack } from "../platform/own-memory.ts";
import { DamageError, MAX_PACK_BYTES } from "./block.ts";
import { readRoot } from "./index-reader.ts";
import { fromSoundCopy, type PackSource, StoredDamage } from "./pack-source.ts";
import type { Root } from "./root.ts";
import { encodeSha256Sums, maxSumsBytes, parseSha256Sums } from "./sha256sums.ts";
import { sha256Hex } from "./workers/hashing.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** SHA-256 in hex of every pack of a backup's own directory, by name; `undefined` where the packs prove themselves, being sealed. */
type Sums = ReadonlyMap<string, string> | undefined;

/**
 * Reads a source's root as far as the backup's metadata prove it, and with it all that it leads to: the index by its SHA-256, every
 * chunk by its own. A sealed root opens only under the backup's key; one that is not sealed must be what SHA256SUMS says, whose
 * checksum the mac covers: else whoever can write to the storage could put another root there.
 * @param sums of the same backup, where several roots of it are read
 * @throws StoredDamage; DamageError for a root that disagrees with the metadata
 */
export async function readProvenRoot(
  metadata: BackupMetadata,
  source: SourceMetadata & { readonly root: StoredArtifact },
  packs: PackSource,
  pool: WorkerPool,
  sums: Promise<Sums> = readSums(metadata, packs),
): Promise<{ readonly root: Root; readonly bytes: Buffer }> {
  const read = await readRoot(metadata.id, source, metadata.encrypted, comparedWith(await sums, packs), pool);
  requireSameFacts(read.root, metadata, source);
  return read;
}

/**
 * SHA256SUMS as the metadata know it.
 * @param salvage where it is damaged, what the packs themselves add up to is taken instead: if that is what the metadata know, it proves
 *   as much; where no key proves the metadata either, in any case. Is told so.
 * @throws StoredDamage
 */
export async function readSums(
  metadata: BackupMetadata,
  packs: PackSource,
  salvage?: ((why: string) => void) | undefined,
): Promise<Sums> {
  const { checksum, encrypted, key_id, storage_path } = metadata;
  if (encrypted) return undefined;
  try {
    return await fromSoundCopy(packs, (copy) => readTheirSums(metadata, copy));
  } catch (error) {
    if (salvage === undefined || !(error instanceof StoredDamage)) throw error;
    const anew = await sumsOfPacks(metadata, packs);
    const isSame = checksumOf(encodeSha256Sums(anew)) === checksum;
    if (!isSame && key_id !== null) throw error;
    const instead = isSame
      ? "made anew from the packs it is what metadata.json knows, which proves them"
      : "nothing but their own checksums says which packs are sound";
    salvage(`${storage_path}/${error.message}; ${instead}`);
    return anew;
  }
}

/** Of one copy. @throws StoredDamage */
async function readTheirSums(metadata: BackupMetadata, copy: PackSource): Promise<ReadonlyMap<string, string>> {
  const { id, checksum, storage_path } = metadata;
  const text = await copy.get(id, SHA256SUMS_NAME, 0, maxSumsBytes(metadata) + 1);
  if (text !== undefined && checksumOf(text) === checksum) return parseSha256Sums(text, storage_path);
  const what = text === undefined ? "is missing" : "does not match the checksum in metadata.json";
  throw new StoredDamage(id, SHA256SUMS_NAME, `${SHA256SUMS_NAME} ${what}`);
}

/** Of the packs that are there. */
async function sumsOfPacks({ id, sources }: BackupMetadata, packs: PackSource): Promise<ReadonlyMap<string, string>> {
  const sums = new Map<string, string>();
  const artifacts = sources.flatMap(({ data, index, root }) => [data, index, root]);
  for (const { name: artifact, packs: sizes } of artifacts.filter((stored) => stored !== undefined)) {
    for (const number of sizes.keys()) {
      const name = packName(artifact, number);
      const bytes = await fromSoundCopy(packs, (copy) => copy.get(id, name, 0, MAX_PACK_BYTES));
      if (bytes === undefined) continue;
      sums.set(name, sha256Hex(bytes));
      giveBack(bytes);
    }
  }
  return sums;
}

/** A root may not mean other ancestors, artifacts or bytes than the metadata say. @throws DamageError */
export function requireSameFacts(root: Root, metadata: BackupMetadata, source: SourceMetadata): void {
  const lineage = (members: BackupMetadata["lineage"]): string =>
    members.map(({ id, path, checksum }) => `${id} ${path} ${checksum ?? ""}`).join("\n");
  if (lineage(root.lineage) !== lineage(metadata.lineage))
    throw new DamageError("its root tells of another lineage than metadata.json");
  if (root.size !== source.size)
    throw new DamageError(`its root says ${root.size} bytes, metadata.json ${source.size}`);
  const members = new Set(metadata.lineage.map(({ id }) => id));
  const known = new Set([source.data, source.index].map((stored) => `${stored?.name} ${stored?.artifact_id}`));
  for (const { origin, name, artifact_id } of root.objects) {
    if (!members.has(origin)) throw new DamageError(`its root refers to backup ${origin}, which is not of its lineage`);
    if (origin === metadata.id && !known.has(`${name} ${artifact_id}`))
      throw new DamageError(`its root names ${name}, which metadata.json does not`);
  }
}

/** Whole packs of the backup's own directory, each compared as it is read. */
function comparedWith(sums: Sums, packs: PackSource): PackSource {
  if (sums === undefined) return packs;
  return {
    ...packs,
    async get(origin, name, offset, length) {
      const bytes = await packs.get(origin, name, offset, length);
      if (bytes !== undefined && sha256Hex(bytes) !== sums.get(name)) {
        throw new StoredDamage(origin, name, `${name} does not match ${SHA256SUMS_NAME}`);
      }
      return bytes;
    },
    otherwise(error) {
      const next = packs.otherwise?.(error);
      return next === undefined ? undefined : comparedWith(sums, next);
    },
  };
}

function checksumOf(sums: Uint8Array): string {
  return `sha256:${sha256Hex(sums)}`;
}
