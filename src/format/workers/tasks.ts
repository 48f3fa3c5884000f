import type { FoundAttributes } from "../../domain/artifact.ts";
import type { CompressionAlgorithm } from "../../domain/backup.ts";
import type { ErrorCode } from "../../errors.ts";
import type { EntryMetadata, Shortfalls } from "../../platform/tree/entry-metadata.ts";
import type { SharedTree } from "../../platform/tree/tree-writer.ts";
import type { BlockHeader, PackSeal } from "../block.ts";
import type { Compression } from "../compression.ts";

/** Messages between the pool and its worker threads. Big bytes travel in shared memory, never by copy. */
export type Task =
  | ScanTask
  | ReadFilesTask
  | ReadPartTask
  | CompressTask
  | SealBlockTask
  | HashTask
  | OpenBlocksTask
  | WriteBlockTask;

/** Consecutive chunks of a range of shared memory. */
export interface ChunkList {
  /** Bytes of each chunk. */
  readonly lengths: Uint32Array;
  /** 32 bytes of SHA-256 for each. */
  readonly hashes: Uint8Array;
}

/** Cuts and hashes `buffer[start..end)`, which begins at byte `position` of its artifact or file. */
export interface ScanTask {
  readonly kind: "scan";
  readonly buffer: SharedArrayBuffer;
  readonly start: number;
  readonly end: number;
  readonly position: number;
  readonly chunks: "data" | "index";
  readonly final: boolean;
}

export interface ScanResult extends ChunkList {
  /** Bytes from `start` that the chunks cover; the rest waits for more. */
  readonly consumed: number;
}

/** Reads whole small files one after another into `buffer`, and cuts and hashes each. Looks for their attributes while they are open. */
export interface ReadFilesTask {
  readonly kind: "read-files";
  readonly buffer: SharedArrayBuffer;
  readonly files: readonly FileToRead[];
}

export interface FileToRead {
  /** Raw name, relative to `/`. */
  readonly name: Uint8Array;
  readonly offset: number;
  /** Room for it in the buffer. */
  readonly capacity: number;
  readonly wantsAttributes: boolean;
  readonly expected: FileState;
}

/** What tells that a file is as it was. */
export interface FileState {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

export interface ReadFilesResult extends ChunkList {
  readonly files: readonly ReadFile[];
}

export interface ReadFile {
  /** Errno of a file that could not be read; it has no chunks then. */
  readonly errno?: string;
  readonly bytesRead: number;
  readonly chunkCount: number;
  /** After reading; differs from what was expected if the file changed and was read again. */
  readonly state: FileState;
  /** It went on changing while it was read a second time. */
  readonly changed: boolean;
  /** Where they were wanted. */
  readonly attributes?: FoundAttributes;
  /** It does not fit, or nobody knows how large it is: read it as a large file. */
  readonly grown: boolean;
}

/** Reads one part of a large file behind the rest of the part before, and cuts and hashes both. */
export interface ReadPartTask {
  readonly kind: "read-part";
  readonly buffer: SharedArrayBuffer;
  readonly descriptor: number;
  /** Where the rest of the part before begins in the buffer; it ends at `bodyOffset`. */
  readonly start: number;
  readonly bodyOffset: number;
  readonly fileOffset: number;
  readonly length: number;
  /** Position of `start` among the bytes that chunks hold. */
  readonly position: number;
  /** Leave out zero runs of 64 KiB and more. */
  readonly sparse: boolean;
  readonly final: boolean;
}

export interface ReadPartResult extends ScanResult {
  readonly errno?: string;
  readonly bytesRead: number;
  /** End of the data in the buffer, holes left out. */
  readonly end: number;
  /** [offset in the file, length] pairs. */
  readonly holes: readonly (readonly [number, number])[];
}

export interface CompressTask {
  readonly kind: "compress";
  readonly ranges: readonly BufferRange[];
  readonly compression: Compression;
}

export interface BufferRange {
  readonly buffer: SharedArrayBuffer;
  readonly offset: number;
  readonly length: number;
}

export interface CompressResult {
  readonly payload: Uint8Array;
  readonly rawLength: number;
  readonly compressed: boolean;
}

/**
 * Seals a payload at its place in the pack. With `check` it is then opened there again, decompressed, and every chunk compared
 * with its SHA-256. The place is the nonce, so it was given out once only: by the pack's assembler.
 */
export interface SealBlockTask extends ChunkList {
  readonly kind: "seal-block";
  readonly pack: SharedArrayBuffer;
  readonly offset: number;
  readonly payload: Uint8Array;
  readonly header: BlockHeader;
  readonly seal: PackSeal;
  readonly compression: CompressionAlgorithm;
  readonly check: boolean;
}

/** Hashes `range` with SHA-256. */
export interface HashTask {
  readonly kind: "hash";
  readonly range: BufferRange;
}

/** A block as it was read from storage. */
export interface StoredBlock {
  readonly block: Uint8Array;
  readonly offset: number;
  readonly seal: PackSeal;
  readonly compression: CompressionAlgorithm;
  /** Chunks inside the block to check: pairs of offset and length, with 32 bytes of hash each. */
  readonly spans: Uint32Array;
  readonly hashes: Uint8Array;
}

/** Opens a block and gives its raw bytes, the wanted chunks checked. */
export interface OpenBlocksTask extends StoredBlock {
  readonly kind: "open-block";
}

/** Opens a block and, when the wanted chunks were checked, writes what files have of it. */
export interface WriteBlockTask extends StoredBlock {
  readonly kind: "write-block";
  readonly contents: BlockContents;
}

export interface BlockContents {
  readonly tree: SharedTree;
  readonly files: readonly WholeFile[];
  readonly parts: readonly FilePart[];
}

/** A file that lies in one block. */
export interface WholeFile {
  /** Relative to the tree's root. */
  readonly name: Uint8Array;
  readonly size: number;
  readonly metadata: EntryMetadata;
  /** Offset in the block and length, in the file's order. */
  readonly spans: readonly (readonly [number, number])[];
}

/** A range of a file that the main thread has open, and keeps open until it is written. */
export interface FilePart {
  readonly descriptor: number;
  readonly offsetInBlock: number;
  readonly length: number;
  readonly position: number;
}

export interface OpenBlockResult {
  readonly raw: Uint8Array;
  readonly last: boolean;
}

/** What each kind of task gives back. */
export interface TaskResults {
  readonly scan: ScanResult;
  readonly "read-files": ReadFilesResult;
  readonly "read-part": ReadPartResult;
  readonly compress: CompressResult;
  readonly "seal-block": undefined;
  /** 64 hex digits. */
  readonly hash: string;
  readonly "open-block": OpenBlockResult;
  readonly "write-block": Shortfalls;
}

export interface Request {
  readonly id: number;
  readonly task: Task;
}

export type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly damage: string; readonly cause?: string }
  | { readonly id: number; readonly expected: { code: ErrorCode; message: string; hint: string | undefined } }
  | { readonly id: number; readonly error: string; readonly errno?: string };
