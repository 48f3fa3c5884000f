import type { BackupMetadata } from "../domain/backup.ts";
import { BackupctlError } from "../errors.ts";

const LINE = /^([0-9a-f]{64}) {2}([A-Za-z0-9._-]+)$/;

/** A line takes at most 219: hash, spaces, name and line feed. */
const MAX_LINE_BYTES = 256;

/** What `SHA256SUMS` of a backup can be at most. */
export function maxSumsBytes({ sources }: Pick<BackupMetadata, "sources">): number {
  const artifacts = sources.flatMap(({ data, index, root }) => [data, index, root]);
  return MAX_LINE_BYTES * artifacts.reduce((packs, artifact) => packs + (artifact?.packs.length ?? 0), 0);
}

/** `SHA256SUMS` as `sha256sum` writes and checks it, sorted by name. The same sums give the same bytes. */
export function encodeSha256Sums(sums: ReadonlyMap<string, string>): Buffer {
  const lines = [...sums].map(([name, sha256]) => `${sha256}  ${name}`);
  for (const line of lines) {
    if (!LINE.test(line)) throw new RangeError(`"${line}" is not a line of SHA256SUMS`);
  }
  // Names are ASCII, so code units sort as bytes do.
  const sorted = lines.sort((left, right) => (left.slice(66) < right.slice(66) ? -1 : 1));
  return Buffer.from(sorted.map((line) => `${line}\n`).join(""));
}

/** SHA-256 in hex by object name. @throws `BACKUP_CORRUPTED` for anything that `encodeSha256Sums` would not write. */
export function parseSha256Sums(bytes: Uint8Array, where: string): ReadonlyMap<string, string> {
  const text = Buffer.from(bytes).toString("latin1");
  const lines = text.split("\n");
  if (lines.pop() !== "") throw damaged(where, "it does not end with a line break");
  const sums = new Map<string, string>();
  let previous = "";
  for (const [index, line] of lines.entries()) {
    const [, sha256, name] = LINE.exec(line) ?? [];
    if (sha256 === undefined || name === undefined) throw damaged(where, `line ${index + 1} is malformed`);
    if (name <= previous) throw damaged(where, `line ${index + 1} is out of order or repeated`);
    sums.set(name, sha256);
    previous = name;
  }
  return sums;
}

function damaged(where: string, why: string): BackupctlError {
  return new BackupctlError("BACKUP_CORRUPTED", `SHA256SUMS of ${where} is damaged: ${why}`);
}
