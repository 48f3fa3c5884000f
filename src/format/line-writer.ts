import { createHash } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { writeFully } from "../platform/write.ts";

const WRITE_BYTES = 1024 * 1024;

/** Writes an index to a local file, in large pieces, and knows size and SHA-256 at the end. */
export class LineWriter {
  readonly #descriptor: number;
  readonly #hash = createHash("sha256");
  #pending: (string | Buffer)[] = [];
  #pendingBytes = 0;
  #size = 0;

  constructor(file: string) {
    this.#descriptor = openSync(file, "wx", 0o600);
  }

  /** Text with its line feeds, or raw lines. */
  write(lines: string | Buffer): void {
    this.#pending.push(lines);
    this.#pendingBytes += lines.length;
    if (this.#pendingBytes >= WRITE_BYTES) this.#flush();
  }

  close(): { readonly size: number; readonly sha256: string } {
    this.#flush();
    closeSync(this.#descriptor);
    return { size: this.#size, sha256: this.#hash.digest("hex") };
  }

  #flush(): void {
    const bytes = Buffer.concat(
      this.#pending.map((piece) => (typeof piece === "string" ? Buffer.from(piece, "utf8") : piece)),
    );
    this.#pending = [];
    this.#pendingBytes = 0;
    writeFully(this.#descriptor, bytes);
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }
}
