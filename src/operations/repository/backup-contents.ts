import * as path from "node:path";
import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, SourceMetadata } from "../../domain/backup.ts";
import { BackupctlError, messageOf } from "../../errors.ts";
import { DamageError } from "../../format/block.ts";
import { fetchIndex } from "../../format/index-reader.ts";
import { type PackSource, StoredDamage } from "../../format/pack-source.ts";
import { readProvenRoot, readSums } from "../../format/proven-root.ts";
import type { Root } from "../../format/root.ts";
import { sourceCache } from "../../format/source-writer.ts";
import { WorkerPool } from "../../format/workers/pool.ts";
import { linkFile, removeFileIfExists } from "../../platform/files.ts";
import { hashFile } from "../../platform/hash-file.ts";
import type { OperationContext } from "../context.ts";
import { DamagedCopies } from "./damaged-copies.ts";
import { indexDirectory } from "./index-cache.ts";
import { openPackSource } from "./pack-fetching.ts";
import { createReadingDirectory } from "./reading-directory.ts";

/** A source of a backup, its root and index at hand and checked. */
export interface OpenedSource {
  readonly source: SourceMetadata;
  readonly root: Root;
  /** A local file for `readTreeIndex` or `readStreamIndex`; exists until the contents are closed. */
  readonly indexFile: string;
  readonly shape: "tree" | "stream";
}

/** One backup, being read. */
export interface BackupContents {
  readonly metadata: BackupMetadata;
  readonly packs: PackSource;
  readonly pool: WorkerPool;
  /** What is sound of a damaged backup is taken. */
  readonly salvages: boolean;
  /** Private, removed by `close`. */
  readonly temporaryDirectory: string;
  /** Reads a source's root and index at the first call. @throws `SOURCE_NOT_FOUND`, `BACKUP_CORRUPTED` */
  source(name: string): Promise<OpenedSource>;
  close(): Promise<void>;
}

const TREE_KIND = "tree";

/**
 * Reads from the first of the storages `copies`, and what is damaged there, or is in one that is away, from the next that has it.
 * @param salvage see `openPackSource` and `readSums`
 * @param metadata must have been proven (`requireTrusted`), or accepted unproven by the operator
 */
export async function openContents(
  context: OperationContext,
  copies: readonly string[],
  metadata: BackupMetadata,
  { salvage }: { readonly salvage?: ((why: string) => void) | undefined } = {},
): Promise<BackupContents> {
  const { session } = context;
  const repository = await context.repository();
  const catalog = await context.catalog("read");
  const { signal, clock } = session;
  const known = (id: BackupId): CatalogBackup | undefined => catalog.get(id);
  const warn = (message: string): void => session.logger.warn(message);
  const damaged = new DamagedCopies();
  const onDamage = (origin: BackupId, storageName: string): void => damaged.add(origin, storageName);
  const packs = openPackSource(repository, copies, metadata, { signal, known, salvage, warn, onDamage, clock });
  const temporary = await createReadingDirectory(session, repository);
  const pool = new WorkerPool(session.loaded.config.workers);
  const opened = new Map<string, Promise<OpenedSource>>();
  const salvages = salvage !== undefined;
  let sums: ReturnType<typeof readSums> | undefined;

  async function open(name: string): Promise<OpenedSource> {
    const source = metadata.sources.find((candidate) => candidate.name === name);
    if (source?.root === undefined) {
      throw new BackupctlError("SOURCE_NOT_FOUND", `backup ${metadata.id} does not hold source "${name}"`, {
        hint: `See what it holds: \`backupctl show ${metadata.id}\`.`,
      });
    }
    try {
      sums ??= readSums(metadata, packs, salvage);
      const { root } = await readProvenRoot(metadata, { ...source, root: source.root }, packs, pool, sums);
      const cached = sourceCache(indexDirectory(repository, metadata.id), name).indexFile;
      const indexFile = path.join(temporary.path, `${name}.index`);
      // A create that ends meanwhile prunes the cache; a name of our own stays.
      const isCached = (await linkFile(cached, indexFile)) && (await hashFile(indexFile)) === root.indexSha256;
      if (!isCached) {
        await removeFileIfExists(indexFile);
        await fetchIndex(root, indexFile, packs, pool);
      }
      return { source, root, indexFile, shape: source.kind === TREE_KIND ? "tree" : "stream" };
    } catch (error) {
      throw asCorrupted(error, { metadata, salvages }, name);
    }
  }

  return {
    metadata,
    packs,
    pool,
    salvages,
    temporaryDirectory: temporary.path,
    source(name) {
      const known = opened.get(name) ?? open(name);
      opened.set(name, known);
      return known;
    },
    async close() {
      await pool.close();
      await temporary.dispose();
      // A key that was only tried opens nothing of what is sound, either.
      if (!salvages) await damaged.remember(context);
    },
  };
}

/** Damage in stored bytes as an expected error that names backup, source and object; anything else stays as it is. */
export function asCorrupted(
  error: unknown,
  { metadata: { id }, salvages }: Pick<BackupContents, "metadata" | "salvages">,
  sourceName: string,
): unknown {
  if (!(error instanceof StoredDamage) && !(error instanceof DamageError)) return error;
  const instead = salvages
    ? "use another backup: `backupctl list`"
    : `use another backup; what is sound comes back with \`backupctl restore ${id} --skip-damaged --to DIR\``;
  const damages = error instanceof StoredDamage ? [error, ...error.elsewhere] : [];
  const others = damages.slice(1).map(describeDamage);
  return new BackupctlError(
    "BACKUP_CORRUPTED",
    `source "${sourceName}" of backup ${id} is damaged: ${damages.map(describeDamage)[0] ?? messageOf(error)}`,
    {
      hint: `See how much: \`backupctl verify ${id}\`. Then ${instead}.`,
      cause: error,
      lines: others,
      data: {
        backupId: id,
        source: sourceName,
        ...(error instanceof StoredDamage ? { object: error.objectName, origin: error.origin } : {}),
        ...(others.length === 0 ? {} : { others }),
      },
    },
  );
}

function describeDamage({ message, storageName }: StoredDamage): string {
  return storageName === undefined ? message : `${message} (storage "${storageName}")`;
}
