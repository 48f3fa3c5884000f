import type { BackupId, StoredArtifact } from "../domain/backup.ts";
import { packName, parseArtifactName } from "../domain/object-names.ts";
import { giveBack } from "../platform/own-memory.ts";
import { copyToShared } from "../platform/shared-memory.ts";
import {
  BLOCK_HEADER_BYTES,
  DamageError,
  decodeBlockHeader,
  decodePackHeader,
  MAX_PACK_BYTES,
  PACK_HEADER_BYTES,
} from "./block.ts";
import { sealOf } from "./block-reader.ts";
import { fromSoundCopy, type PackSource, StoredDamage } from "./pack-source.ts";
import { MAX_ROOT_BYTES } from "./root.ts";
import { SharedBuffers } from "./shared-buffers.ts";
import type { WorkerPool } from "./workers/pool.ts";
import type { OpenBlockResult } from "./workers/tasks.ts";

/** One block of a pack as it was stored, opened. */
export interface WholeBlock {
  readonly pack: number;
  readonly offset: number;
  /** The caller's, who gives it back. */
  readonly raw: Uint8Array;
}

/** Blocks of about a mebibyte being opened behind the one that is looked at, so that all workers are at work. */
const BLOCKS_AHEAD = 6;

/**
 * Reads an artifact pack by pack, block by block, as it lies in its backup's own directory of one copy: what the root is read with, and
 * what a full verification does. @throws StoredDamage for anything that is not as written, the missing end included.
 */
export async function* readArtifact(
  origin: BackupId,
  artifact: StoredArtifact,
  encrypted: boolean,
  source: PackSource,
  pool: WorkerPool,
): AsyncGenerator<WholeBlock> {
  const damaged = (name: string, error: unknown): unknown =>
    error instanceof DamageError ? new StoredDamage(origin, name, `${name}: ${error.message}`, error) : error;

  async function* start(): AsyncGenerator<StartedBlock> {
    const buffers = new SharedBuffers(0, 2);
    // Not Math.max(...): an artifact of two terabytes has more packs than a call may have arguments.
    const largest = Math.min(
      MAX_PACK_BYTES,
      artifact.packs.reduce((most, size) => Math.max(most, size), 0),
    );
    for (const [pack, size] of artifact.packs.entries()) {
      const name = packName(artifact.name, pack);
      const buffer = await buffers.acquire(largest);
      try {
        const stored = await getWhole(source, origin, name, size);
        const bytes = Buffer.from(buffer.memory, 0, size);
        copyToShared(stored, bytes);
        giveBack(stored);
        const object = describe(origin, artifact, encrypted);
        checkHeader(bytes, pack, object);
        const seal = sealOf(object, pack, encrypted ? await source.dataKey(origin) : undefined);
        for (const { offset, block } of blocksOf(bytes)) {
          const { compression } = object;
          const none = { spans: new Uint32Array(), hashes: new Uint8Array() };
          const opened = pool.run({ kind: "open-block", block, offset, seal, compression, ...none });
          buffer.hold();
          opened.catch(() => undefined).finally(() => buffer.release());
          yield { pack, name, offset, opened };
        }
      } catch (error) {
        throw damaged(name, error);
      } finally {
        buffer.release();
      }
    }
  }

  let ended = artifact.packs.length === 0;
  for await (const { pack, name, offset, opened } of ahead(start())) {
    try {
      const { raw, last } = await opened;
      if (ended) throw new DamageError(`the block at ${offset} lies behind the artifact's last one`);
      ended = last;
      yield { pack, offset, raw };
    } catch (error) {
      throw damaged(name, error);
    }
  }
  if (!ended) {
    throw new StoredDamage(origin, artifact.name, `${artifact.name} is truncated: its last block is missing`);
  }
}

interface StartedBlock {
  readonly pack: number;
  readonly name: string;
  readonly offset: number;
  readonly opened: Promise<OpenBlockResult>;
}

/** Takes some items before it gives the first. What comes before a failure is still given. */
async function* ahead<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const taken: T[] = [];
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of items) {
      taken.push(item);
      if (taken.length > BLOCKS_AHEAD) yield* taken.splice(0, 1);
    }
  } catch (error) {
    failure = { error };
  }
  yield* taken;
  if (failure !== undefined) throw failure.error;
}

async function getWhole(source: PackSource, origin: BackupId, name: string, size: number): Promise<Buffer> {
  if (size > MAX_PACK_BYTES) throw new DamageError(`would be a pack of ${size} bytes, which none is`);
  // One byte more than there should be: what was appended must show.
  const bytes = await source.get(origin, name, 0, size + 1);
  if (bytes === undefined) throw new DamageError("is missing");
  if (bytes.length > size) throw new DamageError(`has more than its ${size} bytes`);
  if (bytes.length < size) throw new DamageError(`has ${bytes.length} bytes instead of ${size}`);
  return bytes;
}

function* blocksOf(pack: Buffer): Generator<{ readonly offset: number; readonly block: Buffer }> {
  if (pack.length === PACK_HEADER_BYTES) throw new DamageError("holds no block");
  for (let offset = PACK_HEADER_BYTES; offset < pack.length; ) {
    const end = offset + BLOCK_HEADER_BYTES + decodeBlockHeader(pack.subarray(offset)).storedLength;
    if (end > pack.length) throw new DamageError("the last block is cut");
    yield { offset, block: pack.subarray(offset, end) };
    offset = end;
  }
}

/** The whole artifact in memory, from a copy that is sound. @throws StoredDamage also where it is larger than any root */
export function readWholeRoot(
  origin: BackupId,
  artifact: StoredArtifact,
  encrypted: boolean,
  source: PackSource,
  pool: WorkerPool,
): Promise<Buffer> {
  return fromSoundCopy(source, async (copy) => {
    const blocks: Uint8Array[] = [];
    let bytes = 0;
    for await (const { raw } of readArtifact(origin, artifact, encrypted, copy, pool)) {
      bytes += raw.length;
      if (bytes > MAX_ROOT_BYTES) {
        const what = `${artifact.name} is larger than ${MAX_ROOT_BYTES / 2 ** 20} MiB`;
        throw new StoredDamage(origin, artifact.name, what);
      }
      blocks.push(raw);
    }
    return Buffer.concat(blocks);
  });
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
