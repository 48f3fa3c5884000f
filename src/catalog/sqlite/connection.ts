import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { BackupctlError } from "../../errors.ts";
import { DamagedCatalogError } from "../catalog.ts";

export type SqlValue = string | number | null;

/** Beside the catalog: a command met damage in it, so the next one that opens it has to look closely. */
export const SUSPECT_SUFFIX = ".suspect";

const DIRTY = "dirty";

/**
 * An open catalog file. Every write is one transaction, begun with the write lock, so that it can't fail half way for want of
 * it. The first one leaves a mark that `close` takes away: a catalog that still has it was not closed cleanly.
 */
export class Connection {
  readonly #database: Sqlite.Database;
  readonly #file: string;
  readonly #statements = new Map<string, Sqlite.Statement<SqlValue[]>>();
  readonly #token = randomBytes(8).toString("hex");
  #marked = false;

  constructor(database: Sqlite.Database, file: string) {
    this.#database = database;
    this.#file = file;
  }

  all(sql: string, ...parameters: SqlValue[]): readonly unknown[] {
    return this.#guard(() => this.#prepare(sql).all(...parameters));
  }

  get(sql: string, ...parameters: SqlValue[]): unknown {
    return this.#guard(() => this.#prepare(sql).get(...parameters));
  }

  /** The number of rows changed. Call it inside `write`. */
  run(sql: string, ...parameters: SqlValue[]): number {
    return this.#prepare(sql).run(...parameters).changes;
  }

  write<T>(change: () => T): T {
    const result = this.#guard(() =>
      this.#database
        .transaction(() => {
          if (!this.#marked) this.run("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", DIRTY, this.#token);
          return change();
        })
        .immediate(),
    );
    this.#marked = true;
    return result;
  }

  close(): void {
    try {
      // Only this connection's own mark: another that writes meanwhile keeps its own.
      if (this.#marked) {
        this.#guard(() => this.run("DELETE FROM facts WHERE name = ? AND value = ?", DIRTY, this.#token));
      }
    } finally {
      this.#database.close();
    }
  }

  #prepare(sql: string): Sqlite.Statement<SqlValue[]> {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare<SqlValue[]>(sql);
    this.#statements.set(sql, made);
    return made;
  }

  #guard<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (isDamage(error)) this.#suspect();
      throw asCatalogError(error, this.#file);
    }
  }

  /** Best effort: a catalog on a full or read-only disk is reported all the same. */
  #suspect(): void {
    try {
      writeFileSync(`${this.#file}${SUSPECT_SUFFIX}`, "", { mode: 0o600 });
    } catch {
      // The error that led here is thrown by the caller.
    }
  }
}

/** Whether the last writer ended without closing the catalog. */
export function wasLeftOpen(database: Sqlite.Database): boolean {
  return database.prepare("SELECT 1 FROM facts WHERE name = ?").get(DIRTY) !== undefined;
}

export function isDamage(error: unknown): boolean {
  return error instanceof Sqlite.SqliteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code);
}

/** What SQLite says, as an expected error; anything else (a bug, an error of ours) as it is. */
export function asCatalogError(error: unknown, file: string): unknown {
  if (!(error instanceof Sqlite.SqliteError)) return error;
  const message = `catalog ${file}: ${error.message}`;
  if (isDamage(error)) {
    return new DamagedCatalogError(`catalog ${file} is damaged: ${error.message}`, error);
  }
  if (error.code.startsWith("SQLITE_BUSY")) {
    return new BackupctlError("CATALOG_FAILED", `catalog ${file} is locked by another process`, {
      hint: "Run the command again in a moment.",
      retryable: true,
      cause: error,
    });
  }
  if (error.code === "SQLITE_FULL") {
    return new BackupctlError("CATALOG_FAILED", message, {
      hint: "Free some space on that file system.",
      cause: error,
    });
  }
  return new BackupctlError("CATALOG_FAILED", message, {
    hint: "Check that the file and its folder belong to this user and are writable.",
    cause: error,
  });
}
