import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  encodePackHeader,
  FLAG_LAST,
  FLAG_NOT_COMPRESSED,
  PACK_HEADER_BYTES,
  type PackSeal,
  TAG_BYTES,
} from "./block.ts";
import type { Compression } from "./compression.ts";
import { type SharedBuffer, SharedBuffers } from "./shared-buffers.ts";
import type { WorkerPool } from "./workers/pool.ts";
import type { ChunkList, CompressResult } from "./workers/tasks.ts";

/** Packs are filled up to here; a block that does not fit begins the next one. Readers accept up to 32 MiB. */
export const PACK_BYTES = 16 * 1024 * 1024 + 512 * 1024;
/** One being filled, one on its way, or both. */
const PACKS_IN_MEMORY = 2;

/** A counted reference to the memory of an object: it is reused when whoever held it has released it. */
export interface ObjectMemory {
  hold(): void;
  release(): void;
}

export interface PackAssemblerOptions {
  readonly pool: WorkerPool;
  readonly compression: Compression;
  /** 16 random bytes, used for this artifact only. */
  readonly artifactId: Uint8Array;
  readonly backupId: Uint8Array;
  /** The artifact's own key; `undefined`: not encrypted. */
  readonly key: Uint8Array | undefined;
  /** Open and decompress every block again before its pack is stored. */
  readonly check: boolean;
  /**
   * Stores one whole pack, of whose bytes this is the SHA-256 in hex; called in no particular order, at most two at a time. Who needs the
   * bytes for longer than the call takes holds their memory.
   */
  readonly put: (packNumber: number, bytes: Uint8Array, sha256: string, memory: ObjectMemory) => Promise<void>;
  /** How many packs may be held so at once before the next one has to wait. */
  readonly packsHeld?: number;
}

export interface PlacedBlock {
  readonly pack: number;
  readonly offset: number;
  /** Behind the header, tag included. */
  readonly stored: number;
}

interface OpenPack {
  readonly number: number;
  readonly buffer: SharedBuffer;
  readonly seal: PackSeal;
  readonly sealed: Promise<unknown>[];
  end: number;
}

interface PlacedPayload {
  readonly pack: OpenPack;
  readonly offset: number;
  readonly block: CompressResult;
  readonly chunks: ChunkList;
}

/**
 * Gives every block its place, has it sealed there and opened again, and stores packs when they are full.
 * Sealing waits until the next block is known, because the last one of an artifact carries the flag that says so.
 */
export class PackAssembler {
  readonly #options: PackAssemblerOptions;
  readonly #buffers: SharedBuffers;
  readonly #puts: Promise<void>[] = [];
  readonly #packSizes: number[] = [];
  #pack: OpenPack | undefined;
  #unsealed: PlacedPayload | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: PackAssemblerOptions) {
    this.#options = options;
    const packs = PACKS_IN_MEMORY + (options.packsHeld ?? 0);
    this.#buffers = new SharedBuffers(packs * PACK_BYTES, packs);
  }

  /** Call in the order of the artifact, one at a time. */
  async place(block: CompressResult, chunks: ChunkList): Promise<PlacedBlock> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const needed = BLOCK_HEADER_BYTES + block.payload.length + TAG_BYTES;
    if (this.#pack !== undefined && this.#pack.end + needed > PACK_BYTES) {
      this.#sealPending(false);
      this.#store(this.#pack);
      this.#pack = undefined;
    }
    this.#pack ??= await this.#openPack(needed);
    this.#sealPending(false);
    const pack = this.#pack;
    const offset = pack.end;
    pack.end += needed;
    this.#unsealed = { pack, offset, block, chunks };
    return { pack: pack.number, offset, stored: block.payload.length + TAG_BYTES };
  }

  /** Seals what is left, waits until all is stored, and gives the size of each pack. No block: no packs. */
  async finish(): Promise<readonly number[]> {
    this.#sealPending(true);
    if (this.#pack !== undefined) this.#store(this.#pack);
    await Promise.all(this.#puts);
    return this.#packSizes;
  }

  async #openPack(firstBlockBytes: number): Promise<OpenPack> {
    const number = this.#packSizes.length;
    this.#packSizes.push(0);
    const { compression, artifactId, key, backupId } = this.#options;
    const header = encodePackHeader({
      compression: compression.algorithm,
      encrypted: key !== undefined,
      packNumber: number,
      artifactId,
    });
    const buffer = await this.#buffers.acquire(Math.max(PACK_BYTES, PACK_HEADER_BYTES + firstBlockBytes));
    new Uint8Array(buffer.memory).set(header);
    return {
      number,
      buffer,
      seal: { header: Uint8Array.from(header), backupId, packNumber: number, key },
      sealed: [],
      end: PACK_HEADER_BYTES,
    };
  }

  #sealPending(last: boolean): void {
    if (this.#unsealed === undefined) return;
    const { pack, offset, block, chunks } = this.#unsealed;
    this.#unsealed = undefined;
    const header: BlockHeader = {
      storedLength: block.payload.length + TAG_BYTES,
      rawLength: block.rawLength,
      flags: (last ? FLAG_LAST : 0) | (block.compressed ? 0 : FLAG_NOT_COMPRESSED),
    };
    const { payload } = block;
    const task = {
      kind: "seal-block",
      pack: pack.buffer.memory,
      offset,
      payload,
      header,
      seal: pack.seal,
      compression: this.#options.compression.algorithm,
      check: this.#options.check,
      ...chunks,
    } as const;
    // Handed over, not copied: the memory is the sealing thread's from here on.
    const sealed = this.#options.pool.run(task, payload.buffer instanceof ArrayBuffer ? [payload.buffer] : []);
    sealed.catch(() => undefined);
    pack.sealed.push(sealed);
  }

  #store(pack: OpenPack): void {
    this.#packSizes[pack.number] = pack.end;
    const stored = (async () => {
      try {
        await Promise.all(pack.sealed);
        const bytes = new Uint8Array(pack.buffer.memory, 0, pack.end);
        const range = { buffer: pack.buffer.memory, offset: 0, length: pack.end };
        const sha256 = await this.#options.pool.run({ kind: "hash", range });
        await this.#options.put(pack.number, bytes, sha256, pack.buffer);
      } finally {
        pack.buffer.release();
      }
    })();
    stored.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    this.#puts.push(stored);
  }
}
