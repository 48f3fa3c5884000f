import { parseNumberedName } from "../../domain/object-names.ts";
import { type BackupctlError, isBackupctlError } from "../../errors.ts";
import { canonicalJson } from "../../format/canonical-json.ts";
import { metadataKey } from "../../format/data-key.ts";
import { keysObjectDefect, type NamedBytes } from "../../format/keys-object.ts";
import { decodeMetadata, verifyMac } from "../../format/metadata.ts";
import { decodeNotes } from "../../format/notes.ts";
import { MAX_METADATA_BYTES } from "../../format/parse-json.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import type { Storage } from "../../storage/storage.ts";
import { readCommitted } from "../repository/committed-backup.ts";
import { readObject } from "../repository/read-object.ts";
import type { Repository } from "../repository/repository.ts";
import type { CommittedBackup } from "./committed.ts";

/** A metadata.json as one storage has it, among the copies that are there. */
interface FoundMetadata {
  readonly backup: CommittedBackup;
  readonly storage: Storage;
  readonly holders: readonly Storage[];
  readonly bytes: Buffer;
}

/**
 * Why a metadata.json must not be passed on: it is not what the catalog knows, or its mac is wrong. Where no key at hand can tell that,
 * the copies must at least agree.
 */
export async function metadataDefect(repository: Repository, found: FoundMetadata): Promise<string | undefined> {
  const { backup, storage, bytes } = found;
  try {
    const decoded = decodeMetadata(bytes, backup.storagePath);
    if (canonicalJson({ ...decoded.metadata }) !== canonicalJson({ ...backup.metadata }))
      return "is not what the catalog knows";
    const { dataKey, problem } = await readCommitted(repository, storage, backup);
    if (problem !== undefined && isDamage(problem)) return `is not to be believed (${problem.message})`;
    const macKey = dataKey === undefined ? undefined : metadataKey(dataKey, backup.id);
    if (dataKey !== undefined || backup.metadata.key_id === null)
      return verifyMac(decoded, macKey) ? undefined : "has a wrong mac";
    return await disagreement(found);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return `can't be read (${error.message})`;
  }
}

async function disagreement({ backup, storage, holders, bytes }: FoundMetadata): Promise<string | undefined> {
  for (const other of holders) {
    if (other === storage) continue;
    const there = await readObject(other, `${backup.storagePath}/metadata.json`, MAX_METADATA_BYTES);
    if (there === undefined || there.equals(bytes)) continue;
    return `differs from the one in storage "${other.name}", and no key at hand tells which is right`;
  }
  return undefined;
}

/** Why a keys or notes object must not be passed on, as far as that can be told without a key. */
export function numberedDefect({ id, metadata, keysSha256 }: CommittedBackup, object: NamedBytes): string | undefined {
  if (sha256Hex(object.bytes) === keysSha256) return undefined;
  if (parseNumberedName(object.name)?.family === "keys") {
    const defect = keysObjectDefect(object, { backupId: id, keyId: metadata.key_id ?? undefined });
    return defect === undefined ? undefined : `is no keys object of this backup (${defect})`;
  }
  try {
    decodeNotes(object, metadata, undefined);
    return undefined;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return `can't be read (${error.message})`;
  }
}

function isDamage(error: unknown): error is BackupctlError {
  return isBackupctlError(error, "BACKUP_CORRUPTED") || isBackupctlError(error, "UNSUPPORTED_FORMAT");
}
