import type { BackupMetadata } from "./backup.ts";
import type { KnownBackup } from "./known-backup.ts";
import { DELETED_NAME, METADATA_NAME, packName, parseNumberedName, SHA256SUMS_NAME } from "./object-names.ts";

/** What lies in a backup's directory of one storage: sizes in bytes by the names there. */
export type SeenObjects = ReadonlyMap<string, number>;

export interface ExpectedPack {
  readonly name: string;
  readonly sizeBytes: number;
  readonly source: string;
}

/** Every pack that metadata says is in the backup's own directory. */
export function expectedPacks({ sources }: Pick<BackupMetadata, "sources">): readonly ExpectedPack[] {
  return sources.flatMap(({ name: source, data, index, root }) =>
    [data, index, root].flatMap((artifact) =>
      artifact === undefined
        ? []
        : artifact.packs.map((sizeBytes, number) => ({ name: packName(artifact.name, number), sizeBytes, source })),
    ),
  );
}

export function packsOf(metadata: Pick<BackupMetadata, "sources">): SeenObjects {
  return new Map(expectedPacks(metadata).map(({ name, sizeBytes }) => [name, sizeBytes]));
}

/** What keeps a copy from being complete, by names and sizes; `undefined` if nothing does. Its ancestors are looked at by themselves. */
export function copyDefect(
  metadata: Pick<BackupMetadata, "sources" | "key_id">,
  seen: SeenObjects,
): string | undefined {
  if (seen.has(DELETED_NAME)) return "it is being deleted";
  for (const name of [METADATA_NAME, SHA256SUMS_NAME]) if (!seen.has(name)) return `its object ${name} is missing`;
  for (const [name, size] of packsOf(metadata)) {
    const found = seen.get(name);
    if (found === undefined) return `its object ${name} is missing`;
    if (found !== size) return `its object ${name} has ${found} bytes instead of ${size}`;
  }
  const isLocked = metadata.key_id !== null && ![...seen.keys()].some(isKeys);
  return isLocked ? "its keys are missing" : undefined;
}

function isKeys(name: string): boolean {
  return parseNumberedName(name)?.family === "keys";
}

/** How far a storage is behind: the backups that have no complete copy there. */
export interface Lag {
  readonly backups: number;
  /** What they take in storage. */
  readonly bytes: number;
  /** When the oldest of them was made, ISO 8601. */
  readonly oldest: string | undefined;
}

export function lagOf<T extends Pick<KnownBackup, "timestamp" | "metadata">>(
  backups: readonly T[],
  isComplete: (backup: T) => boolean,
): Lag {
  const missing = backups.filter((backup) => !isComplete(backup));
  return {
    backups: missing.length,
    bytes: missing.reduce((sum, { metadata }) => sum + (metadata?.stored_size ?? 0), 0),
    oldest: missing.map(({ timestamp }) => timestamp).sort()[0],
  };
}
