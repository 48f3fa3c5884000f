import { promises as fs } from "node:fs";
import type BetterSqlite3 from "better-sqlite3";
import { BackupctlError, type ErrorCode } from "../../errors.ts";
import { errnoOf, READ_WITHOUT_WAITING } from "../../platform/files.ts";

export type Database = BetterSqlite3.Database;

const MAGIC = "SQLite format 3\0";
const HEADER_BYTES = 100;

/** What a database file's header says, read without SQLite: opening a WAL database makes files beside it. */
interface Header {
  readonly sizeBytes: number;
  readonly wal: boolean;
}

/** @throws `code` with a message for each way in which a file is not a usable database. Never makes a file. */
export async function readHeader(file: string, subject: string, code: ErrorCode): Promise<Header> {
  const fail = (what: string, hint: string, cause?: unknown) =>
    new BackupctlError(code, `${subject}: ${file} ${what}`, { hint, ...(cause === undefined ? {} : { cause }) });
  try {
    const handle = await fs.open(file, READ_WITHOUT_WAITING);
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw fail("is not a file", "Give the database file itself.");
      if (found.size === 0)
        throw fail("is empty", "See whether it is the right file; an application may have made it by mistake.");
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      if (bytesRead < HEADER_BYTES || buffer.toString("latin1", 0, MAGIC.length) !== MAGIC) {
        throw fail(
          "is not an SQLite database, or it is encrypted",
          "Back up an encrypted database with the files or the command engine.",
        );
      }
      return { sizeBytes: found.size, wal: buffer[18] === 2 };
    } finally {
      await handle.close();
    }
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR")
      throw fail("does not exist", "Correct `path` of this source.", error);
    if (errno === "EACCES")
      throw fail("can't be read by this user", "Run backupctl as the application's user or as root.", error);
    throw error;
  }
}

/**
 * Opens the file as SQLite's own tools do: writable where this user may write, so that the leavings of a crash are recovered and
 * no files stay behind; `query_only` all the same. A file that does not exist stays so.
 */
export async function openDatabase(file: string, timeoutMs: number): Promise<Database> {
  const { default: open } = await import("better-sqlite3");
  const writable = await fs.access(file, fs.constants.W_OK).then(
    () => true,
    () => false,
  );
  const database = new open(file, { readonly: !writable, fileMustExist: true, timeout: timeoutMs });
  database.pragma("query_only = 1");
  return database;
}

/** For a file of this program's own, which nobody else has open. What SQLite makes beside it is the caller's to remove. */
export async function openOwnDatabase(file: string): Promise<Database> {
  const { default: open } = await import("better-sqlite3");
  return new open(file, { readonly: true, fileMustExist: true, timeout: 0 });
}

/** SQLite's own error code, such as `SQLITE_BUSY`. */
export function sqliteCode(error: unknown): string | undefined {
  return errnoOf(error)?.startsWith("SQLITE_") ? errnoOf(error) : undefined;
}
