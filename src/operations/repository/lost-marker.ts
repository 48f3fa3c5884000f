import { directoryState, MARKER_NAME, METADATA_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { decodeMetadata, requirePlace } from "../../format/metadata.ts";
import { MAX_METADATA_BYTES } from "../../format/parse-json.ts";
import type { Storage } from "../../storage/storage.ts";
import { mapInParallel } from "../parallel.ts";
import type { Session } from "../session.ts";
import { readObject } from "./read-object.ts";
import { listBackupDirectories } from "./repository.ts";

const PARALLEL_READS = 16;

/** What the backups in a storage without a marker say. */
export interface Orphaned {
  /** Or what is left of one. */
  readonly holdsBackups: boolean;
  /** `undefined` where none of them can be read. */
  readonly repositoryId: string | undefined;
}

/**
 * The repository that the backups of a storage name: one that lost its marker must not become another repository, to which none of
 * them belongs. Nothing is proven here: a wrong id is refused by every backup that has another.
 * @throws `REPOSITORY_MISMATCH` if they disagree.
 */
export async function readOrphaned({ logger }: Session, storage: Storage): Promise<Orphaned> {
  const listed = await listBackupDirectories(storage, (name) => name);
  const directories = [...listed].flatMap(([directory, names]) => (names.includes(METADATA_NAME) ? [directory] : []));
  const said = await mapInParallel(directories, PARALLEL_READS, async (directory) => {
    try {
      return { directory, id: await readId(storage, directory) };
    } catch (error) {
      if (!isBackupctlError(error, "BACKUP_CORRUPTED") && !isBackupctlError(error, "UNSUPPORTED_FORMAT")) throw error;
      logger.warn(`storage "${storage.name}": ${error.message}; it is not asked for the repository`);
      return { directory, id: undefined };
    }
  });
  const examples = new Map(said.flatMap(({ directory, id }) => (id === undefined ? [] : [[id, directory] as const])));
  if (examples.size > 1) {
    const each = [...examples].map(([id, directory]) => `${directory} of ${id}`).join(", ");
    throw new BackupctlError(
      "REPOSITORY_MISMATCH",
      `storage "${storage.name}" has no marker ${MARKER_NAME}, and its backups are of different repositories: ${each}`,
      { hint: "Move those that do not belong there to another place, then run `backupctl init` again." },
    );
  }
  const isLeft = (names: readonly string[]) => ["backup", "damaged"].includes(directoryState(names));
  return { holdsBackups: [...listed.values()].some(isLeft), repositoryId: [...examples.keys()][0] };
}

async function readId(storage: Storage, directory: string): Promise<string | undefined> {
  const bytes = await readObject(storage, `${directory}/${METADATA_NAME}`, MAX_METADATA_BYTES);
  if (bytes === undefined) return undefined;
  const { metadata } = decodeMetadata(bytes, directory);
  requirePlace(metadata, { storagePath: directory, repositoryId: metadata.repository_id });
  return metadata.repository_id;
}
