import { BackupctlError } from "../../errors.ts";
import type { CopyLines } from "./copy-lines.ts";

/** Longer than any definition in a real catalog: a larger length is damage, and must not be allocated. */
const MAX_STRING_BYTES = 1 << 30;

/**
 * Reads the primitive values of a custom archive from pieces of any size. A reader checks `has` first and, only where bytes
 * are missing, waits with `yield* fill`: most values lie inside the current piece, and a generator call for each is slow.
 */
export class ArchiveCursor {
  #buffer: Buffer = Buffer.alloc(0);
  #position = 0;
  #startOfBuffer = 0;
  /** Bytes of an integer without its sign byte, and of a file offset; both are in the header. */
  integerBytes = 4;
  offsetBytes = 8;

  /** Where the next byte to read lies in the archive. */
  get offset(): number {
    return this.#startOfBuffer + this.#position;
  }

  get available(): number {
    return this.#buffer.length - this.#position;
  }

  get sizeOfInteger(): number {
    return this.integerBytes + 1;
  }

  has(bytes: number): boolean {
    return this.available >= bytes;
  }

  /** Takes pieces until `bytes` of them are there. */
  *fill(bytes: number): Generator<undefined, void, Uint8Array> {
    // what outlives the call that brought it is copied: the pipeline may hand a piece's memory on to a worker
    const parts: Buffer[] = [Buffer.from(this.#buffer.subarray(this.#position))];
    let held = this.available;
    this.#startOfBuffer += this.#position;
    this.#position = 0;
    this.#buffer = Buffer.alloc(0);
    while (held < bytes) {
      const piece = yield;
      held += piece.byteLength;
      parts.push(held < bytes ? Buffer.from(piece) : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    }
    this.#buffer = parts.length === 2 && parts[0]?.length === 0 && parts[1] ? parts[1] : Buffer.concat(parts);
  }

  *byte(): Generator<undefined, number, Uint8Array> {
    if (!this.has(1)) yield* this.fill(1);
    return this.#buffer.readUInt8(this.#position++);
  }

  *integer(): Generator<undefined, number, Uint8Array> {
    if (!this.has(this.sizeOfInteger)) yield* this.fill(this.sizeOfInteger);
    return this.integerHere();
  }

  /** The integer at the cursor; the caller has made sure that `sizeOfInteger` bytes are there. */
  integerHere(): number {
    const buffer = this.#buffer;
    const sign = buffer[this.#position] ?? 0;
    if (sign > 1) throw corrupted(`an integer's sign is ${sign} at offset ${this.offset}`);
    let value = 0;
    for (let index = this.integerBytes; index > 0; index--) {
      value = value * 256 + (buffer[this.#position + index] ?? 0);
    }
    this.#position += this.sizeOfInteger;
    return sign === 1 ? -value : value;
  }

  /** A string, or `undefined` for the archive's null. */
  *string(): Generator<undefined, string | undefined, Uint8Array> {
    const length = yield* this.integer();
    if (length === -1) return undefined;
    if (length < 0 || length > MAX_STRING_BYTES)
      throw corrupted(`a string of ${length} bytes at offset ${this.offset}`);
    if (!this.has(length)) yield* this.fill(length);
    return this.take(length).toString("utf8");
  }

  /** Up to `bytes` of what is there; a view that is valid until the next `fill`. */
  take(bytes: number): Buffer {
    const taken = this.#buffer.subarray(this.#position, this.#position + bytes);
    this.#position += taken.length;
    return taken;
  }

  /** Passes up to `bytes` of what is there, adds them to `copied`, and gives how many. */
  pass(bytes: number, copied: CopyLines | undefined): number {
    const start = this.#position;
    this.#position = Math.min(start + bytes, this.#buffer.length);
    copied?.add(this.#buffer, start, this.#position);
    return this.#position - start;
  }

  /** Passes the chunks that are here whole, or none of them; only those are known whose length has as many bytes as everybody's. */
  passChunks(copied: CopyLines): void {
    if (this.integerBytes === 4) this.#position = copied.addChunks(this.#buffer, this.#position);
  }
}

export function corrupted(what: string): BackupctlError {
  return new BackupctlError("BACKUP_CORRUPTED", `not a whole custom archive of pg_dump: ${what}`);
}
