import type { BackupId, StoredArtifact } from "../domain/backup.ts";
import { packName, parseArtifactName } from "../domain/object-names.ts";
import {
  BLOCK_HEADER_BYTES,
  DamageError,
  decodeBlockHeader,
  decodePackHeader,
  MAX_PACK_BYTES,
  PACK_HEADER_BYTES,
} from "./block.ts";
import { type PackSource, StoredDamage, sealOf } from "./block-reader.ts";
import { inSharedMemory } from "./shared-buffers.ts";
import type { WorkerPool } from "./workers/pool.ts";

/** One block of a pack as it was stored, opened. */
export interface WholeBlock {
  readonly pack: number;
  readonly offset: number;
  readonly raw: Uint8Array;
}

/**
 * Reads an artifact pack by pack, block by block, as it lies in its backup's own directory: what the root is read with, and
 * what a full verification does. @throws StoredDamage for anything that is not as written, the missing end included.
 */
export async function* readArtifact(
  origin: BackupId,
  artifact: StoredArtifact,
  encrypted: boolean,
  source: PackSource,
  pool: WorkerPool,
): AsyncGenerator<WholeBlock> {
  let ended = artifact.packs.length === 0;
  for (const [pack, size] of artifact.packs.entries()) {
    const name = packName(artifact.name, pack);
    try {
      if (ended) throw new DamageError("lies behind the artifact's last block");
      const bytes = await getWhole(source, origin, name, size);
      const object = describe(origin, artifact, encrypted);
      checkHeader(bytes, pack, object);
      const seal = sealOf(object, pack, encrypted ? await source.dataKey(origin) : undefined);
      for (const { offset, block } of blocksOf(bytes)) {
        if (ended) throw new DamageError("bytes follow the last block");
        const { compression } = object;
        const none = { spans: new Uint32Array(), hashes: new Uint8Array() };
        const opened = await pool.run({ kind: "open-block", block, offset, seal, compression, ...none });
        yield { pack, offset, raw: opened.raw };
        ended = opened.last;
      }
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      throw new StoredDamage(origin, name, `${name}: ${error.message}`, error);
    }
  }
  if (!ended) {
    throw new StoredDamage(origin, artifact.name, `${artifact.name} is truncated: its last block is missing`);
  }
}

async function getWhole(source: PackSource, origin: BackupId, name: string, size: number): Promise<Buffer> {
  if (size > MAX_PACK_BYTES) throw new DamageError(`would be a pack of ${size} bytes, which none is`);
  // One byte more than there should be: what was appended must show.
  const bytes = await source.get(origin, name, 0, size + 1);
  if (bytes === undefined) throw new DamageError("is missing");
  if (bytes.length > size) throw new DamageError(`has more than its ${size} bytes`);
  if (bytes.length < size) throw new DamageError(`has ${bytes.length} bytes instead of ${size}`);
  return inSharedMemory(bytes);
}

function* blocksOf(pack: Buffer): Generator<{ readonly offset: number; readonly block: Buffer }> {
  for (let offset = PACK_HEADER_BYTES; offset < pack.length; ) {
    const end = offset + BLOCK_HEADER_BYTES + decodeBlockHeader(pack.subarray(offset)).storedLength;
    if (end > pack.length) throw new DamageError("the last block is cut");
    yield { offset, block: pack.subarray(offset, end) };
    offset = end;
  }
}

/** The whole artifact in memory: for roots. */
export async function readWholeArtifact(
  origin: BackupId,
  artifact: StoredArtifact,
  encrypted: boolean,
  source: PackSource,
  pool: WorkerPool,
): Promise<Buffer> {
  const blocks: Uint8Array[] = [];
  for await (const { raw } of readArtifact(origin, artifact, encrypted, source, pool)) blocks.push(raw);
  return Buffer.concat(blocks);
}

function describe(origin: BackupId, artifact: StoredArtifact, encrypted: boolean) {
  const parsed = parseArtifactName(artifact.name);
  if (parsed === undefined) throw new DamageError(`${artifact.name} is not an artifact's name`);
  const cipher: 0 | 1 = encrypted ? 1 : 0;
  return { origin, artifact_id: artifact.artifact_id, compression: parsed.compression, cipher };
}

/** The header must say what the authenticated metadata says; it decides nothing. */
function checkHeader(bytes: Buffer, pack: number, object: ReturnType<typeof describe>): void {
  const header = decodePackHeader(bytes);
  const sameId = Buffer.from(header.artifactId).toString("hex") === object.artifact_id;
  if (!sameId) throw new DamageError("belongs to another artifact");
  if (header.packNumber !== pack) throw new DamageError(`is pack ${header.packNumber} of its artifact`);
  if (header.encrypted !== (object.cipher === 1)) throw new DamageError("its cipher is not what the metadata says");
  if (header.compression !== object.compression) throw new DamageError("its compression is not what the metadata says");
}
