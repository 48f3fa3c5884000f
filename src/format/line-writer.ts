import { createHash } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { BackupctlError } from "../errors.ts";
import { writeFully } from "../platform/write.ts";
import { MAX_LINE_BYTES } from "./line-reader.ts";

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

  /** Text with its line feeds, or raw lines. @throws `BACKUP_FAILED` for a line that nobody could read again */
  write(lines: string | Buffer): void {
    // A character takes three bytes at most: nearly nothing has to be counted.
    if (typeof lines === "string" && lines.length * 3 > MAX_LINE_BYTES) requireReadableLines(lines);
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

function requireReadableLines(lines: string): void {
  for (const line of lines.split("\n")) {
    const bytes = Buffer.byteLength(line, "utf8");
    if (bytes <= MAX_LINE_BYTES) continue;
    const most = `${MAX_LINE_BYTES / 2 ** 20} MiB`;
    throw new BackupctlError(
      "BACKUP_FAILED",
      `an entry of the index would have ${bytes} bytes, more than the ${most} that can be read again: ${line.slice(0, 200)}…`,
      { hint: "Leave it out, or what makes it so large: for a file its extended attributes." },
    );
  }
}
