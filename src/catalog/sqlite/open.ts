import { closeSync, existsSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { BackupctlError, messageOf } from "../../errors.ts";
import { type Clock, systemClock } from "../../platform/clock.ts";
import type { Catalog } from "../catalog.ts";
import { SqliteCatalog } from "./catalog.ts";
import { asCatalogError, Connection, isDamage, SUSPECT_SUFFIX, wasLeftOpen } from "./connection.ts";
import { MIGRATIONS } from "./migrations.ts";

const BUSY_TIMEOUT_MS = 5_000;

export interface OpenCatalogOptions {
  readonly file: string;
  /** Told in one line when a damaged catalog was set aside. */
  readonly warn: (message: string) => void;
  /** Never writes, and is never held up by a writer. A missing or damaged file is an empty catalog then. */
  readonly readOnly?: boolean;
  /** What a reader found wrong in it, which no check of the file finds: it is set aside. Not for `readOnly`. */
  readonly damage?: string | undefined;
  readonly clock?: Clock;
}

/**
 * Opens the catalog in its directory, made anew (0600) if it does not exist, its schema brought up to date. A damaged file is set aside under
 * another name. Opening one that is up to date writes nothing, so it waits for no other process.
 * @throws `CATALOG_FAILED` if the file can't be used at all, or was written by a newer release.
 */
export function openSqliteCatalog(options: OpenCatalogOptions): Catalog {
  const { file, readOnly = false } = options;
  if (readOnly && !existsSync(file)) return emptyCatalog();
  requireFile(file);
  if (!readOnly) createFile(file);
  const inode = statSync(file).ino;
  if (options.damage !== undefined) return replaceDamaged(options, inode, options.damage);
  const opened = open(file, readOnly);
  if (opened.catalog !== undefined) return opened.catalog;
  if (readOnly) {
    options.warn(`the catalog ${file} is damaged (${opened.damage}) and not used; run backupctl catalog rebuild`);
    return emptyCatalog();
  }
  return replaceDamaged(options, inode, opened.damage);
}

/** Used in place of a file that can't be read from: knows nothing, keeps nothing. */
function emptyCatalog(): Catalog {
  const database = new Sqlite(":memory:");
  migrate(database, ":memory:");
  return new SqliteCatalog(new Connection(database, ":memory:"), ":memory:");
}

function replaceDamaged(options: OpenCatalogOptions, inode: number, damage: string): Catalog {
  const { file, clock = systemClock } = options;
  // Another process may have found the damage at the same time and replaced the file already.
  if (!existsSync(file) || statSync(file).ino === inode) {
    const aside = setAside(file, clock);
    options.warn(`the catalog was damaged (${damage}) and set aside as ${aside}`);
    createFile(file);
  }
  const opened = open(file, false);
  if (opened.catalog !== undefined) return opened.catalog;
  throw new BackupctlError("CATALOG_FAILED", `catalog ${file} is damaged: ${opened.damage}`, {
    hint: "Move the file away and run `backupctl catalog rebuild`.",
  });
}

function setAside(file: string, clock: Clock): string {
  const stamp = clock.now().toISOString().replaceAll(":", "-");
  const aside = `${file}.damaged-${stamp}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (existsSync(`${file}${suffix}`)) renameSync(`${file}${suffix}`, `${aside}${suffix}`);
  }
  rmSync(`${file}${SUSPECT_SUFFIX}`, { force: true });
  return aside;
}

type Opened =
  | { readonly catalog: Catalog; readonly damage?: never }
  | { readonly catalog?: never; readonly damage: string };

function open(file: string, readOnly: boolean): Opened {
  let database: Sqlite.Database | undefined;
  try {
    database = new Sqlite(file, { readonly: readOnly, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    const wrongVersion = versionDamage(database);
    if (wrongVersion === undefined) prepare(database, file, readOnly);
    const damage = wrongVersion ?? findDamage(database, file);
    if (damage === undefined) return { catalog: new SqliteCatalog(new Connection(database, file), file) };
    database.close();
    return { damage };
  } catch (error) {
    database?.close();
    if (isDamage(error)) return { damage: messageOf(error) };
    throw asCatalogError(error, file);
  }
}

function prepare(database: Sqlite.Database, file: string, readOnly: boolean): void {
  const version = schemaVersion(database);
  if (version > MIGRATIONS.length) {
    throw new BackupctlError("CATALOG_FAILED", `catalog ${file} was written by a newer release (schema ${version})`, {
      hint: "Upgrade backupctl, or move the file away and run `backupctl catalog rebuild`.",
    });
  }
  if (readOnly) {
    if (version === MIGRATIONS.length) return;
    throw new BackupctlError("CATALOG_FAILED", `catalog ${file} has the schema of an older release (${version})`, {
      hint: "Run any command that writes, or `backupctl catalog rebuild`, to bring it up to date.",
    });
  }
  useWriteAheadLog(database);
  // What a backup's commit has recorded must survive a power cut.
  database.pragma("synchronous = FULL");
  if (version < MIGRATIONS.length) migrate(database, file);
}

/** Readers are never blocked with it. The mode is a property of the file: whoever sets it first sets it for all. */
function useWriteAheadLog(database: Sqlite.Database): void {
  if (database.pragma("journal_mode", { simple: true }) === "wal") return;
  try {
    database.pragma("journal_mode = WAL");
  } catch (error) {
    // Another process opens the new file at the same moment and does this very thing.
    if (!(error instanceof Sqlite.SqliteError && error.code.startsWith("SQLITE_BUSY"))) throw error;
  }
}

function migrate(database: Sqlite.Database, file: string): void {
  for (const [index, step] of MIGRATIONS.entries()) {
    database
      .transaction(() => {
        // Read again under the write lock: another process may have been faster.
        if (schemaVersion(database) > index) return;
        database.exec(step);
        database.pragma(`user_version = ${index + 1}`);
      })
      .immediate();
  }
  if (schemaVersion(database) !== MIGRATIONS.length) {
    throw new BackupctlError("CATALOG_FAILED", `catalog ${file} could not be brought up to date`);
  }
}

function schemaVersion(database: Sqlite.Database): number {
  return Number(database.pragma("user_version", { simple: true }));
}

/** Tables are made with a version. Read in this order: another process may be making them. */
function versionDamage(database: Sqlite.Database): string | undefined {
  const hasTables = database.prepare("SELECT 1 FROM sqlite_master").get() !== undefined;
  const version = schemaVersion(database);
  return version < 0 || (version === 0 && hasTables) ? `its schema has the version ${version}` : undefined;
}

/** Looks closely only after a crash or a reported damage: a check reads the whole file. */
function findDamage(database: Sqlite.Database, file: string): string | undefined {
  const suspect = existsSync(`${file}${SUSPECT_SUFFIX}`);
  if (!suspect && !wasLeftOpen(database)) return undefined;
  const result = String(database.pragma(suspect ? "integrity_check(1)" : "quick_check(1)", { simple: true }));
  if (result !== "ok") return result;
  if (suspect && !database.readonly) rmSync(`${file}${SUSPECT_SUFFIX}`, { force: true });
  return undefined;
}

/** A pipe in its place would wait for its other end for ever. */
function requireFile(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== false) return;
  throw new BackupctlError("CATALOG_FAILED", `catalog ${file} is not a file`, {
    hint: "Move away what is in its place, and run `backupctl catalog rebuild`.",
  });
}

/** SQLite gives its own files the mode of the database, so this decides for all three. */
function createFile(file: string): void {
  try {
    closeSync(openSync(file, "a", 0o600));
  } catch (error) {
    throw new BackupctlError("CATALOG_FAILED", `catalog ${file} can't be opened: ${messageOf(error)}`, {
      hint: "Check that the folder exists and belongs to this user, or set another state directory.",
      cause: error,
    });
  }
}
