import { createHash } from "node:crypto";
import type { BackupMetadata, SourceMetadata, StoredArtifact } from "../domain/backup.ts";
import { SHA256SUMS_NAME } from "../domain/object-names.ts";
import { DamageError } from "./block.ts";
import { type PackSource, StoredDamage } from "./block-reader.ts";
import { readRoot } from "./index-reader.ts";
import type { Root } from "./root.ts";
import { parseSha256Sums } from "./sha256sums.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** The lines of some ten million packs. */
const MAX_SUMS_BYTES = 2 ** 30;

/**
 * Reads a source's root as far as the backup's metadata prove it, and with it all that it leads to: the index by its SHA-256, every
 * chunk by its own. A sealed root opens only under the backup's key; one that is not sealed must be what SHA256SUMS says, whose
 * checksum the mac covers: else whoever can write to the storage could put another root there.
 * @throws StoredDamage; DamageError for a root that disagrees with the metadata
 */
export async function readProvenRoot(
  metadata: BackupMetadata,
  source: SourceMetadata & { readonly root: StoredArtifact },
  packs: PackSource,
  pool: WorkerPool,
): Promise<{ readonly root: Root; readonly bytes: Buffer }> {
  const proven = metadata.encrypted ? packs : await comparedWithSums(metadata, packs);
  const read = await readRoot(metadata.id, source, metadata.encrypted, proven, pool);
  requireSameFacts(read.root, metadata, source);
  return read;
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

/** Whole packs of the backup's own directory, each compared with SHA256SUMS as it is read. */
async function comparedWithSums(
  { id, checksum, storage_path }: Pick<BackupMetadata, "id" | "checksum" | "storage_path">,
  packs: PackSource,
): Promise<PackSource> {
  const text = await packs.get(id, SHA256SUMS_NAME, 0, MAX_SUMS_BYTES);
  if (text === undefined) throw new StoredDamage(id, SHA256SUMS_NAME, `${SHA256SUMS_NAME} is missing`);
  if (`sha256:${sha256Hex(text)}` !== checksum) {
    throw new StoredDamage(id, SHA256SUMS_NAME, `${SHA256SUMS_NAME} does not match the checksum in metadata.json`);
  }
  const sums = parseSha256Sums(text, storage_path);
  return {
    ...packs,
    async get(origin, name, offset, length) {
      const bytes = await packs.get(origin, name, offset, length);
      if (bytes !== undefined && sha256Hex(bytes) !== sums.get(name)) {
        throw new StoredDamage(id, name, `${name} does not match ${SHA256SUMS_NAME}`);
      }
      return bytes;
    },
  };
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
