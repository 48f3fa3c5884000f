import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, LineageMember } from "../../domain/backup.ts";
import { expectedPacks, packsOf } from "../../domain/copies.ts";
import { parsePackName, roleOf, SHA256SUMS_NAME } from "../../domain/object-names.ts";
import { type ErrorCode, isBackupctlError } from "../../errors.ts";
import type { PackSource } from "../../format/pack-source.ts";
import { maxSumsBytes, parseSha256Sums } from "../../format/sha256sums.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { Storage } from "../../storage/storage.ts";
import type { CheckName } from "../operations.ts";
import { readAncestor } from "../repository/committed-backup.ts";
import { readObject } from "../repository/read-object.ts";
import type { Repository } from "../repository/repository.ts";

export interface Problem {
  readonly check: CheckName;
  readonly text: string;
  readonly source?: string | undefined;
}

/** Every object there with its size, and none that its run did not write. Reads nothing. */
export async function checkListing(storage: Storage, metadata: BackupMetadata): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const missing = new Map(expectedPacks(metadata).map((pack) => [pack.name, pack]));
  const failed = new Set(metadata.sources.filter(({ status }) => status === "failed").map(({ name }) => name));
  let sums = false;
  for await (const { key, sizeBytes } of storage.list(metadata.storage_path)) {
    const name = key.slice(metadata.storage_path.length + 1);
    const pack = missing.get(name);
    missing.delete(name);
    if (name === SHA256SUMS_NAME) sums = true;
    if (pack !== undefined && pack.sizeBytes !== sizeBytes) {
      problems.push({
        check: "component_completeness",
        text: `${key} has ${sizeBytes} bytes instead of ${pack.sizeBytes}`,
        source: pack.source,
      });
    }
    // What a source had stored before it failed lies there still where the storage lets go of nothing.
    const isLeft = failed.has(parsePackName(name)?.artifact.source ?? "");
    const role = roleOf(name);
    if (role === "unknown" || (role === "pack" && pack === undefined && !isLeft)) {
      problems.push({ check: "component_completeness", text: `${key} is not part of the backup` });
    }
  }
  for (const { name, source } of missing.values()) {
    problems.push({ check: "component_completeness", text: `${metadata.storage_path}/${name} is missing`, source });
  }
  if (!sums)
    problems.push({ check: "component_completeness", text: `${metadata.storage_path}/${SHA256SUMS_NAME} is missing` });
  return problems;
}

/** SHA256SUMS as the authenticated metadata knows it, or what is wrong with it. */
async function readSums(
  storage: Storage,
  metadata: BackupMetadata,
): Promise<{ readonly sums: ReadonlyMap<string, string>; readonly problems: readonly Problem[] }> {
  const where = `${metadata.storage_path}/${SHA256SUMS_NAME}`;
  const bytes = await readObject(storage, where, maxSumsBytes(metadata));
  const failed = (text: string) => ({
    sums: new Map<string, string>(),
    problems: [{ check: "checksum_validation" as const, text }],
  });
  if (bytes === undefined) return failed(`${where} is missing`);
  if (`sha256:${sha256Hex(bytes)}` !== metadata.checksum)
    return failed(`${where} does not match the checksum in metadata.json`);
  try {
    const sums = parseSha256Sums(bytes, metadata.storage_path);
    const unlisted = expectedPacks(metadata).filter(({ name }) => !sums.has(name));
    const problems = unlisted.map(({ name, source }) => ({
      check: "checksum_validation" as const,
      text: `${where} does not list ${name}`,
      source,
    }));
    return { sums, problems };
  } catch (error) {
    if (!isBackupctlError(error, "BACKUP_CORRUPTED")) throw error;
    return failed(error.message);
  }
}

/** Reads each pack of a directory and compares it with SHA256SUMS; those in `hashed` were read already. */
export async function checkSums(
  storage: Storage,
  metadata: BackupMetadata,
  options: {
    readonly sources?: readonly string[];
    readonly hashed?: ReadonlyMap<string, string>;
    readonly onBytes: (count: number) => void;
    readonly signal: AbortSignal;
  },
): Promise<readonly Problem[]> {
  const { sums, problems } = await readSums(storage, metadata);
  const found: Problem[] = [...problems];
  for (const { name, source, sizeBytes } of expectedPacks(metadata)) {
    const wanted = sums.get(name);
    if (wanted === undefined || options.sources?.includes(source) === false) continue;
    options.signal.throwIfAborted();
    let actual = options.hashed?.get(name);
    if (actual === undefined) {
      const bytes = await readObject(storage, `${metadata.storage_path}/${name}`, sizeBytes);
      // Told as missing by the listing.
      if (bytes === undefined) continue;
      options.onBytes(bytes.length);
      actual = sha256Hex(bytes);
    }
    if (actual !== wanted) {
      found.push({
        check: "checksum_validation",
        text: `${metadata.storage_path}/${name} does not match SHA256SUMS`,
        source,
      });
    }
  }
  return found;
}

/** Packs of one backup that are read whole on the way: their hashes come for nothing. */
export function hashingSource(
  inner: PackSource,
  metadata: BackupMetadata,
  onBytes: (count: number) => void,
): { readonly packs: PackSource; readonly hashed: ReadonlyMap<string, string> } {
  const sizes = packsOf(metadata);
  const hashed = new Map<string, string>();
  return {
    hashed,
    packs: {
      dataKey: (origin) => inner.dataKey(origin),
      async get(origin: BackupId, name, offset, length) {
        const bytes = await inner.get(origin, name, offset, length);
        if (bytes === undefined) return undefined;
        onBytes(bytes.length);
        const whole =
          origin === metadata.id && offset === 0 && bytes.length === sizes.get(name) && length >= bytes.length;
        if (whole && !hashed.has(name)) hashed.set(name, sha256Hex(bytes));
        return bytes;
      },
    },
  };
}

export interface AncestorLook {
  readonly metadata: BackupMetadata | undefined;
  readonly problems: readonly Problem[];
  /** No key at hand may be the reason, too: that is no damage. */
  readonly isDamaged: boolean;
}

/** An ancestor as the lineage of its descendant knows it. `undefined` where what is there is not it; the problem says why. */
export async function lookAtAncestor(
  repository: Repository,
  storage: Storage,
  member: LineageMember,
  known: CatalogBackup | undefined,
): Promise<AncestorLook> {
  const problem = (what: string): Problem => ({
    check: "metadata_validation",
    text: `ancestor ${member.id}: ${what}`,
  });
  try {
    const { metadata, keysProblems } = await readAncestor(repository, storage, member, known);
    return { metadata, problems: keysProblems.map(problem), isDamaged: keysProblems.length > 0 };
  } catch (error) {
    if (!isBackupctlError(error) || !ABOUT_THE_ANCESTOR.includes(error.code)) throw error;
    const isDamaged = error.code === "BACKUP_CORRUPTED";
    return { metadata: undefined, problems: [problem(error.message)], isDamaged };
  }
}

const ABOUT_THE_ANCESTOR: readonly ErrorCode[] = [
  "BACKUP_CORRUPTED",
  "UNSUPPORTED_FORMAT",
  "ENCRYPTION_KEY_NOT_FOUND",
  "BACKUP_VERIFICATION_FAILED",
];
