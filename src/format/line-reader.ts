import { closeSync, openSync, readSync } from "node:fs";
import { DamageError } from "./block.ts";

const READ_BYTES = 1024 * 1024;
/** The longest line is the inventory of a database with very many tables. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** Lines of a local file, without their line feeds. Each stays as it is while others are read. */
export class LineReader {
  readonly #descriptor: number;
  #buffer = Buffer.alloc(0);
  #at = 0;
  #ended = false;

  constructor(file: string) {
    this.#descriptor = openSync(file, "r");
  }

  next(): Buffer | undefined {
    for (;;) {
      const end = this.#buffer.indexOf(0x0a, this.#at);
      if (end >= 0) {
        const line = this.#buffer.subarray(this.#at, end);
        if (line.length > MAX_LINE_BYTES) throw tooLong();
        this.#at = end + 1;
        return line;
      }
      if (this.#ended) {
        if (this.#at < this.#buffer.length) throw new DamageError("the last line of the index is cut");
        return undefined;
      }
      this.#fill();
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #fill(): void {
    const rest = this.#buffer.subarray(this.#at);
    if (rest.length > MAX_LINE_BYTES) throw tooLong();
    // A long line is copied and searched again with each read: reads grow with it, so that it is a few times only.
    const wanted = Math.max(READ_BYTES, rest.length);
    const next = Buffer.allocUnsafe(rest.length + wanted);
    rest.copy(next);
    const count = readSync(this.#descriptor, next, rest.length, wanted, null);
    this.#ended = count === 0;
    this.#buffer = next.subarray(0, rest.length + count);
    this.#at = 0;
  }
}

function tooLong(): DamageError {
  return new DamageError("a line of the index is too long");
}
