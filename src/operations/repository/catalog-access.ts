import { type Catalog, DamagedCatalogError } from "../../catalog/catalog.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { moveFileIfExists } from "../../platform/files.ts";
import { createTemporaryDirectory } from "../../platform/temporary-directory.ts";
import type { CatalogMode } from "../context.ts";
import { makeStateDirectory, namesWithoutArchives, type Session, statePaths, storageNames } from "../session.ts";
import { holdsBackups } from "./holds-backups.ts";
import { impatience } from "./impatience.ts";
import type { Repository } from "./repository.ts";
import { isUnreachable } from "./unreachable.ts";

/** The repository, opened at the first use, and whether that has happened. */
interface LazyRepository {
  open(): Promise<Repository>;
  readonly opened: Promise<Repository> | undefined;
}

interface CatalogAccess {
  catalog(mode: CatalogMode): Promise<Catalog>;
  /** After damage that was met while reading: the file is set aside, and the next use makes it anew. */
  replace(damage: string): Promise<void>;
  close(): Promise<void>;
}

interface Opened {
  readonly catalog: Catalog;
  dispose(): Promise<void>;
}

/** Opens the catalog, and makes it anew where it does not say what the repository holds. Nothing about it blocks a restore. */
export function catalogAccess(session: Session, repository: LazyRepository): CatalogAccess {
  let reading: Promise<Opened> | undefined;
  let writing: Promise<Opened> | undefined;
  let damage: string | undefined;
  const openWriting = (mustLast = false): Promise<Opened> => {
    writing ??= openForWriting(session, repository, { damage, mustLast });
    return writing;
  };
  const openReading = async (): Promise<Opened> => (await openSound(session, repository)) ?? openWriting();
  const close = async (): Promise<void> => {
    const all = await Promise.allSettled([reading, writing]);
    reading = undefined;
    writing = undefined;
    const opened = new Set(
      all.flatMap((result) => (result.status === "fulfilled" && result.value !== undefined ? [result.value] : [])),
    );
    for (const { dispose } of opened) await dispose();
  };
  return {
    async catalog(mode) {
      if (mode !== "read" || writing !== undefined || damage !== undefined)
        return (await openWriting(mode === "keep")).catalog;
      reading ??= openReading();
      return (await reading).catalog;
    },
    async replace(found) {
      await close();
      damage = found;
    },
    close,
  };
}

/** The file as it is, read only; `undefined` where it has to be made anew (or its schema brought up to date) first. */
async function openSound(session: Session, repository: LazyRepository): Promise<Opened | undefined> {
  const { catalog: file } = await statePaths(session);
  let catalog: Catalog;
  try {
    // Damage found here is said again, with what was done about it, when the file is opened for writing.
    catalog = await session.adapters.openCatalog({
      file,
      readOnly: true,
      warn: (message) => session.logger.debug(message),
    });
  } catch (error) {
    if (!isBackupctlError(error, "CATALOG_FAILED")) throw error;
    return undefined;
  }
  try {
    if (await isSound(session, catalog, repository)) return { catalog, dispose: async () => catalog.close() };
  } catch (error) {
    catalog.close();
    if (isBackupctlError(error, "CATALOG_FAILED")) return undefined;
    throw error;
  }
  catalog.close();
  return undefined;
}

/** Bound to this repository, as far as that is known without opening the storage, and not empty beside a storage that is not. */
async function isSound(session: Session, catalog: Catalog, repository: LazyRepository): Promise<boolean> {
  const bound = catalog.repositoryId();
  if (bound === undefined) return false;
  if (repository.opened !== undefined && (await repository.opened).id !== bound) return false;
  if (catalog.list({ limit: 1 }).total > 0) return true;
  const opened = await repository.open();
  return opened.id === bound && !(await anyHoldsBackups(session, opened));
}

/**
 * A primary that was lost and made anew is empty while the others are not. Who writes asks no archive, and says later what is away.
 * @throws why the first can't be listed, where none can
 */
async function anyHoldsBackups(session: Session, repository: Repository): Promise<boolean> {
  const { clock, signal, loaded } = session;
  let asked = 0;
  let failure: BackupctlError | undefined;
  for (const name of loaded.strict ? namesWithoutArchives(session) : storageNames(session)) {
    try {
      const options = impatience(clock, signal);
      if (await holdsBackups(await repository.storage(name, options), options)) return true;
      asked += 1;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      if (!loaded.strict) repository.leaveOut(name, error);
      failure ??= error;
    }
  }
  if (asked === 0 && failure !== undefined) throw failure;
  return false;
}

async function openForWriting(
  session: Session,
  repository: LazyRepository,
  { damage, mustLast }: { readonly damage: string | undefined; readonly mustLast: boolean },
): Promise<Opened> {
  const opened = await repository.open();
  try {
    return await openFile(session, opened, repository, { damage, mustLast });
  } catch (error) {
    if (error instanceof DamagedCatalogError && damage === undefined) {
      return openForWriting(session, repository, { damage: error.message, mustLast });
    }
    if (!isBackupctlError(error, "CATALOG_FAILED") || error.retryable || mustLast) throw error;
    return openTemporary(session, opened, error);
  }
}

async function openFile(
  session: Session,
  repository: Repository,
  lazy: LazyRepository,
  { damage, mustLast }: { readonly damage: string | undefined; readonly mustLast: boolean },
): Promise<Opened> {
  const { catalog: file } = repository.state;
  await makeStateDirectory(repository.state);
  const warn = (message: string): void => session.logger.warn(message);
  let catalog = await session.adapters.openCatalog({ file, readOnly: false, warn, damage });
  try {
    const bound = catalog.repositoryId();
    if (bound !== undefined && bound !== repository.id) {
      catalog.close();
      if (session.loaded.strict) {
        await requirePrimary(repository, bound);
        await requireNoOther(session, repository, bound);
      } else if (!mustLast) throw ofAnother(bound, repository);
      await setAside(session, file, bound);
      catalog = await session.adapters.openCatalog({ file, readOnly: false, warn });
    }
    // Bound before it is filled: a rebuild that was interrupted leaves an empty catalog, which is not sound.
    catalog.bindRepository(repository.id);
    if (!mustLast && !(await isSound(session, catalog, lazy))) await rebuild(session, repository, catalog);
    const kept = catalog;
    return { catalog: kept, dispose: async () => kept.close() };
  } catch (error) {
    catalog.close();
    throw error;
  }
}

/** Who only reads can't tell a place that was made anew from a wrong disk. */
function ofAnother(bound: string, { id }: Repository): BackupctlError {
  return new BackupctlError(
    "CATALOG_FAILED",
    `the catalog is of repository ${bound}, and the storages that are there of ${id}`,
    { hint: "Bring the right place back; or, to go on with this one, run `backupctl catalog rebuild`." },
  );
}

/** That a place holds another repository now only the primary can say to who writes. @throws `REPOSITORY_MISMATCH` while it is away */
async function requirePrimary(repository: Repository, bound: string): Promise<void> {
  const { id, primaryName } = repository;
  try {
    await repository.storage(primaryName);
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    const others = `the first storage that is there belongs to repository ${id}, not ${bound} as the backups that this host made`;
    throw new BackupctlError(
      "REPOSITORY_MISMATCH",
      `storage "${primaryName}" is away (${error.message}), and ${others}`,
      {
        hint: `Bring "${primaryName}" back, or take the storages out of the config that are not of its repository.`,
        cause: error,
      },
    );
  }
}

/** The primary is the wrong one while another storage is of the repository that the catalog describes. @throws `REPOSITORY_MISMATCH` */
async function requireNoOther(session: Session, repository: Repository, bound: string): Promise<void> {
  const { id, primaryName } = repository;
  for (const name of namesWithoutArchives(session)) {
    try {
      await repository.storage(name);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      if (error.data?.repository_id !== bound) continue;
      throw new BackupctlError(
        "REPOSITORY_MISMATCH",
        `storage "${primaryName}" belongs to repository ${id} now; the backups that this host made are of ${bound}, as storage "${name}" is`,
        {
          hint: `Bring the right place back for "${primaryName}", or take the storages of the earlier repository out of the config to go on in the new one.`,
        },
      );
    }
  }
}

async function rebuild(session: Session, repository: Repository, catalog: Catalog): Promise<void> {
  const { fillCatalog } = await import("./rebuild-catalog.ts");
  const scan = await fillCatalog(session, repository, catalog);
  session.logger.warn(
    `the catalog knew nothing of this repository and was made anew; backups found in storage: ${scan.backups.length}`,
  );
  for (const line of scan.damaged) session.logger.warn(line);
}

/** It describes other backups, of a place that was there before: kept, because its history is nowhere else. */
async function setAside(session: Session, file: string, repositoryId: string): Promise<void> {
  const aside = `${file}.of-${repositoryId.slice(0, 8)}-${session.clock.now().toISOString().replaceAll(":", "-")}`;
  for (const suffix of ["", "-wal", "-shm"]) await moveFileIfExists(`${file}${suffix}`, `${aside}${suffix}`);
  session.logger.warn(`the catalog was of another repository (${repositoryId}) and set aside as ${aside}`);
}

/** The file can't be used at all: what the storages say is put where it lasts for this run. */
async function openTemporary(session: Session, repository: Repository, reason: BackupctlError): Promise<Opened> {
  const directory = await createTemporaryDirectory();
  try {
    session.logger.warn(`${reason.message}; the storages are read instead, and nothing is recorded`);
    const warn = (message: string): void => session.logger.warn(message);
    const catalog = await session.adapters.openCatalog({ file: `${directory.path}/catalog.db`, readOnly: false, warn });
    const { fillCatalog } = await import("./rebuild-catalog.ts");
    await fillCatalog(session, repository, catalog);
    return {
      catalog,
      async dispose() {
        catalog.close();
        await directory.dispose();
      },
    };
  } catch (error) {
    await directory.dispose();
    throw isBackupctlError(error, "CATALOG_FAILED") ? reason : error;
  }
}
