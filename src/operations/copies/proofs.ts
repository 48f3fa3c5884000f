import type { BackupMetadata } from "../../domain/backup.ts";
import { packsOf } from "../../domain/copies.ts";
import { METADATA_NAME, parseNumberedName, SHA256SUMS_NAME } from "../../domain/object-names.ts";
import { isBackupctlError } from "../../errors.ts";
import { canonicalJson } from "../../format/canonical-json.ts";
import { metadataKey } from "../../format/data-key.ts";
import { keysObjectDefect, lockedWraps } from "../../format/keys-object.ts";
import { decodeMetadata, verifyMac } from "../../format/metadata.ts";
import { type DecodedNotes, decodeNotes } from "../../format/notes.ts";
import { MAX_JSON_BYTES, MAX_METADATA_BYTES } from "../../format/parse-json.ts";
import { maxSumsBytes, parseSha256Sums } from "../../format/sha256sums.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { Repository } from "../repository/repository.ts";

/** How an object of a backup's directory is told from damage. */
export interface Proof {
  readonly name: string;
  /** What it can have. */
  readonly mostBytes: number;
  /** What is wrong with these bytes, in words that follow the object's name; `undefined` if nothing is. */
  readonly defectOf: (bytes: Buffer) => Promise<string | undefined> | string | undefined;
  /** No key at hand proves it: the copies must at least agree. */
  readonly mustAgree?: boolean;
}

/** Of an object of which every byte is known. */
export interface ExactProof extends Proof {
  /** In hex. */
  readonly sha256: string | undefined;
}

export function sumsProof(metadata: BackupMetadata): Proof {
  return {
    name: SHA256SUMS_NAME,
    mostBytes: maxSumsBytes(metadata),
    defectOf: (bytes) =>
      `sha256:${sha256Hex(bytes)}` === metadata.checksum ? undefined : "is not what metadata.json says",
  };
}

/** Packs and SHA256SUMS itself, by sums that are proven. What they do not list is right nowhere. */
export function exactProofs(metadata: BackupMetadata, sums: Buffer): readonly ExactProof[] {
  const hashes = new Map(parseSha256Sums(sums, metadata.storage_path)).set(SHA256SUMS_NAME, sha256Hex(sums));
  const sizes = new Map(packsOf(metadata)).set(SHA256SUMS_NAME, sums.length);
  return [...sizes].map(([name, mostBytes]) => {
    const sha256 = hashes.get(name);
    const defectOf = (bytes: Buffer) => (sha256Hex(bytes) === sha256 ? undefined : "is not what SHA256SUMS says");
    return { name, mostBytes, sha256, defectOf };
  });
}

/** @param metadata as they are known from elsewhere */
export function metadataProof(metadata: BackupMetadata, dataKey: Buffer | undefined): Proof {
  const macKey = dataKey === undefined ? undefined : metadataKey(dataKey, metadata.id);
  const mustAgree = macKey === undefined && metadata.key_id !== null;
  return {
    name: METADATA_NAME,
    mostBytes: MAX_METADATA_BYTES,
    mustAgree,
    defectOf: (bytes) =>
      defectUnlessRead(() => {
        const decoded = decodeMetadata(bytes, metadata.storage_path);
        if (canonicalJson({ ...decoded.metadata }) !== canonicalJson({ ...metadata }))
          return "is not what is known of the backup";
        return mustAgree || verifyMac(decoded, macKey) ? undefined : "has a wrong mac";
      }),
  };
}

/**
 * The strictest first: the keys object that is known to have been written, and where there are others, which another host made later, one
 * that is of this backup and that each key at hand opens which it was sealed for.
 */
export function keysProofs(
  name: string,
  { metadata, keysSha256 }: { readonly metadata: BackupMetadata; readonly keysSha256?: string | undefined },
  { all, repository: { keys, effort } }: { readonly all: readonly string[]; readonly repository: Repository },
): readonly Proof[] {
  const wanted = { backupId: metadata.id, keyId: metadata.key_id ?? "" };
  const written: Proof["defectOf"] = (bytes) =>
    sha256Hex(bytes) === keysSha256 ? undefined : "is not the one that was written";
  const opening: Proof["defectOf"] = async (bytes) => {
    const defect = keysObjectDefect({ name, bytes }, wanted);
    if (defect !== undefined) return `is no keys object of this backup (${defect})`;
    const locked = await lockedWraps([{ name, bytes }], wanted, keys, effort);
    return locked.length === 0 ? undefined : "does not open with each key that it was sealed for";
  };
  const checks = keysSha256 === undefined ? [] : [written];
  if (checks.length === 0 || all.filter(isKeys).length > 1) checks.push(opening);
  return checks.map((defectOf) => ({ name, mostBytes: MAX_JSON_BYTES, defectOf }));
}

export function isKeys(name: string): boolean {
  return parseNumberedName(name)?.family === "keys";
}

/** @param refused why notes that can be read are not right all the same */
export function notesProof(
  name: string,
  metadata: BackupMetadata,
  dataKey: Buffer | undefined,
  refused: (decoded: DecodedNotes) => string | undefined = wereChanged,
): Proof {
  const macKey = dataKey === undefined ? undefined : metadataKey(dataKey, metadata.id);
  return {
    name,
    mostBytes: MAX_JSON_BYTES,
    defectOf: (bytes) => defectUnlessRead(() => refused(decodeNotes({ name, bytes }, metadata, macKey))),
  };
}

function wereChanged({ changed }: DecodedNotes): string | undefined {
  return changed ? "was changed after it was written" : undefined;
}

function defectUnlessRead(read: () => string | undefined): string | undefined {
  try {
    return read();
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    return `can't be read (${error.message})`;
  }
}
