import { createCipheriv, createDecipheriv, createHash, timingSafeEqual } from "node:crypto";
import type { CompressionAlgorithm } from "../domain/backup.ts";
import { giveBack } from "../platform/own-memory.ts";
import { copyToShared } from "../platform/shared-memory.ts";
import { COMPRESSION_CODES, compressionOf, decompress } from "./compression.ts";

/** The layout of packs and blocks: docs/format.md, "Pack". Nothing here does I/O, so that worker threads can use it. */

export const PACK_HEADER_BYTES = 28;
export const BLOCK_HEADER_BYTES = 12;
export const TAG_BYTES = 16;
/** Readers refuse more, before they allocate. */
export const MAX_BLOCK_RAW_BYTES = 16 * 1024 * 1024;
const MAX_BLOCK_OVERHEAD_BYTES = 1024;
export const MAX_BLOCK_STORED_BYTES = MAX_BLOCK_RAW_BYTES + MAX_BLOCK_OVERHEAD_BYTES;
export const MAX_PACK_BYTES = 32 * 1024 * 1024;

const MAGIC = Buffer.from("BKC1", "latin1");
export const FLAG_LAST = 1;
export const FLAG_NOT_COMPRESSED = 2;

export interface PackHeader {
  readonly compression: CompressionAlgorithm;
  readonly encrypted: boolean;
  readonly packNumber: number;
  /** 16 bytes. */
  readonly artifactId: Uint8Array;
}

export interface BlockHeader {
  /** Bytes after the header, tag included. */
  readonly storedLength: number;
  readonly rawLength: number;
  readonly flags: number;
}

/** What seals the blocks of one pack: both parts of the additional data, and the key unless cipher 0. */
export interface PackSeal {
  readonly header: Uint8Array;
  /** 16 bytes: of the backup that wrote the pack. */
  readonly backupId: Uint8Array;
  readonly packNumber: number;
  /** 32 bytes; `undefined`: cipher 0, the tag is a truncated SHA-256. */
  readonly key: Uint8Array | undefined;
}

/** The bytes are not what this program wrote. The caller knows object and source, and says so. */
export class DamageError extends Error {
  override readonly name = "DamageError";
}

export function encodePackHeader(header: PackHeader): Buffer {
  const bytes = Buffer.alloc(PACK_HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt8(COMPRESSION_CODES[header.compression], 4);
  bytes.writeUInt8(header.encrypted ? 1 : 0, 5);
  bytes.writeUInt32BE(header.packNumber, 8);
  bytes.set(header.artifactId, 12);
  return bytes;
}

/** @throws DamageError for anything but a version 1 header. */
export function decodePackHeader(bytes: Uint8Array): PackHeader {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < PACK_HEADER_BYTES) throw new DamageError("pack is shorter than its header");
  if (!view.subarray(0, 4).equals(MAGIC)) throw new DamageError("not a pack of format version 1");
  const compression = compressionOf(view.readUInt8(4));
  const cipher = view.readUInt8(5);
  if (compression === undefined || cipher > 1)
    throw new DamageError("unknown compression or cipher in the pack header");
  if (view.readUInt16BE(6) !== 0) throw new DamageError("reserved bytes of the pack header are not zero");
  return {
    compression,
    encrypted: cipher === 1,
    packNumber: view.readUInt32BE(8),
    artifactId: Uint8Array.prototype.slice.call(view, 12, 28),
  };
}

function encodeBlockHeader(header: BlockHeader): Buffer {
  const bytes = Buffer.alloc(BLOCK_HEADER_BYTES);
  bytes.writeUInt32BE(header.storedLength, 0);
  bytes.writeUInt32BE(header.rawLength, 4);
  bytes.writeUInt32BE(header.flags, 8);
  return bytes;
}

/** @throws DamageError for lengths that no writer gives, before anything is allocated for them. */
export function decodeBlockHeader(bytes: Uint8Array): BlockHeader {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < BLOCK_HEADER_BYTES) throw new DamageError("block is shorter than its header");
  const header = { storedLength: view.readUInt32BE(0), rawLength: view.readUInt32BE(4), flags: view.readUInt32BE(8) };
  if (header.flags > (FLAG_LAST | FLAG_NOT_COMPRESSED)) throw new DamageError("unknown flags in a block header");
  if (header.rawLength > MAX_BLOCK_RAW_BYTES) throw new DamageError("block claims more than 16 MiB");
  if (header.storedLength < TAG_BYTES || header.storedLength > header.rawLength + MAX_BLOCK_OVERHEAD_BYTES) {
    throw new DamageError("block's stored length can't be right");
  }
  return header;
}

/**
 * Writes header, sealed payload and tag at `offset` of the pack, and returns the offset behind them.
 * One (artifact, pack, offset) must be sealed once only: the offset is the nonce.
 */
export function sealBlock(
  seal: PackSeal,
  pack: Uint8Array,
  offset: number,
  payload: Uint8Array,
  header: BlockHeader,
): number {
  const headerBytes = encodeBlockHeader(header);
  pack.set(headerBytes, offset);
  const body = offset + BLOCK_HEADER_BYTES;
  if (seal.key === undefined) {
    copyToShared(payload, pack, body);
    pack.set(checksumTag(seal, headerBytes, payload), body + payload.length);
  } else {
    const cipher = createCipheriv("aes-256-gcm", seal.key, nonceOf(seal.packNumber, offset));
    cipher.setAAD(Buffer.concat([seal.header, seal.backupId, headerBytes]));
    const sealed = cipher.update(payload);
    copyToShared(sealed, pack, body);
    giveBack(sealed);
    cipher.final();
    pack.set(cipher.getAuthTag(), body + payload.length);
  }
  return body + payload.length + TAG_BYTES;
}

/**
 * Opens one block, header included, that lay at `offset` of its pack, and gives its raw bytes.
 * @throws DamageError if anything about it is not as it was sealed.
 */
export function openBlock(
  seal: PackSeal,
  compression: CompressionAlgorithm,
  offset: number,
  block: Uint8Array,
): OpenedBlock {
  const header = decodeBlockHeader(block);
  if (block.length !== BLOCK_HEADER_BYTES + header.storedLength) throw new DamageError("block is cut short");
  const headerBytes = block.subarray(0, BLOCK_HEADER_BYTES);
  const payload = block.subarray(BLOCK_HEADER_BYTES, block.length - TAG_BYTES);
  const tag = block.subarray(block.length - TAG_BYTES);
  const packed =
    seal.key === undefined
      ? checked(seal, headerBytes, payload, tag)
      : decrypt(seal, seal.key, offset, headerBytes, payload, tag);
  if ((header.flags & FLAG_NOT_COMPRESSED) !== 0 || compression === "none") {
    if (packed.length !== header.rawLength) throw new DamageError("block's raw length can't be right");
    return { raw: packed, last: (header.flags & FLAG_LAST) !== 0 };
  }
  try {
    return { raw: decompress(packed, compression, header.rawLength), last: (header.flags & FLAG_LAST) !== 0 };
  } catch (error) {
    throw new DamageError("block does not decompress", { cause: error });
  } finally {
    if (packed !== payload) giveBack(packed);
  }
}

export interface OpenedBlock {
  readonly raw: Uint8Array;
  readonly last: boolean;
}

function decrypt(
  seal: PackSeal,
  key: Uint8Array,
  offset: number,
  header: Uint8Array,
  payload: Uint8Array,
  tag: Uint8Array,
): Uint8Array {
  const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(seal.packNumber, offset), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.concat([seal.header, seal.backupId, header]));
  decipher.setAuthTag(tag);
  const plain = decipher.update(payload);
  try {
    decipher.final();
  } catch (error) {
    throw new DamageError("block does not open: it was changed, or it is not of this place", { cause: error });
  }
  return plain;
}

function checked(seal: PackSeal, header: Uint8Array, payload: Uint8Array, tag: Uint8Array): Uint8Array {
  if (!timingSafeEqual(checksumTag(seal, header, payload), tag)) throw new DamageError("block's checksum is wrong");
  return payload;
}

function checksumTag(seal: PackSeal, header: Uint8Array, payload: Uint8Array): Buffer {
  return createHash("sha256")
    .update(seal.header)
    .update(seal.backupId)
    .update(header)
    .update(payload)
    .digest()
    .subarray(0, TAG_BYTES);
}

function nonceOf(packNumber: number, offset: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(packNumber, 0);
  nonce.writeBigUInt64BE(BigInt(offset), 4);
  return nonce;
}
