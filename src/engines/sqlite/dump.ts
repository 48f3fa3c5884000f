import { createReadStream, promises as fs } from "node:fs";
import * as path from "node:path";
import { setTimeout } from "node:timers/promises";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import { systemClock } from "../../platform/clock.ts";
import type { DumpContext, StreamDump, StreamSummary } from "../engine.ts";
import { type Database, openDatabase, readHeader, sqliteCode } from "./database.ts";
import { checkDatabase } from "./inspection.ts";
import type { Inventory } from "./inventory.ts";

const PAGES_A_STEP = 1_000;
const RETRY_MS = 50;
const READ_BYTES = 1024 * 1024;

interface Snapshot {
  readonly file: string;
  readonly sizeBytes: number;
  readonly inventory: Inventory;
  readonly version: string;
}

/**
 * One consistent state of the database, whatever is written meanwhile: SQLite's backup API copies it into a private file, which
 * is checked, streamed and removed. The copy exists because this build of SQLite gives no access to single pages.
 */
export async function dumpDatabase(file: string, timeoutMs: number, context: DumpContext): Promise<StreamDump> {
  const subject = `source "${context.sourceName}"`;
  context.signal.throwIfAborted();
  await readHeader(file, subject, "SOURCE_FAILED");
  context.activity(file);
  const copy = path.join(context.temporaryDirectory, `${context.sourceName}.sqlite`);
  try {
    await copyDatabase(file, copy, timeoutMs, context.signal);
    const snapshot = await inspectCopy(copy, subject, context.signal);
    return streamOf(snapshot, path.basename(file));
  } catch (error) {
    await fs.rm(copy, { force: true });
    context.signal.throwIfAborted();
    throw isBackupctlError(error) ? error : sourceFailure(error, { file, subject, copy });
  }
}

async function copyDatabase(file: string, copy: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  await fs.rm(copy, { force: true });
  await (await fs.open(copy, "wx", 0o600)).close();
  const database = await openDatabase(file, 0);
  try {
    await beginRead(database, timeoutMs, signal);
    await database.backup(copy, {
      progress: () => {
        signal.throwIfAborted();
        return PAGES_A_STEP;
      },
    });
    database.exec("rollback");
  } finally {
    database.close();
  }
}

/**
 * The open read transaction holds the copy to one state: without it every write by others starts the copy again, and a busy
 * database would never be done. A lock is waited for here, not in SQLite, which would stop this whole thread.
 */
async function beginRead(database: Database, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + timeoutMs;
  for (;;) {
    try {
      database.exec("begin");
      database.prepare("select count(*) from sqlite_schema").get();
      return;
    } catch (error) {
      if (database.inTransaction) database.exec("rollback");
      const busy = sqliteCode(error)?.startsWith("SQLITE_BUSY") ?? false;
      if (!busy || systemClock.monotonicMs() >= deadlineMs) throw error;
    }
    await setTimeout(RETRY_MS, undefined, { signal });
  }
}

async function inspectCopy(copy: string, subject: string, signal: AbortSignal): Promise<Snapshot> {
  const found = await checkDatabase(copy, signal);
  if (!("inventory" in found)) {
    const { problems } = found;
    throw new BackupctlError(
      "SOURCE_FAILED",
      `${subject}: the database is damaged: ${problems.slice(0, 3).join("; ")}`,
      {
        hint: "Repair it (`sqlite3 app.db .recover`), or restore the last good backup.",
        data: { problems: problems.slice(0, 100) },
      },
    );
  }
  const { inventory, version } = found;
  return { file: copy, sizeBytes: (await fs.stat(copy)).size, inventory, version };
}

function streamOf(snapshot: Snapshot, name: string): StreamDump {
  let read = 0;
  return { shape: "stream", kind: "sqlite", bytes: pieces(), finish };

  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of createReadStream(snapshot.file, { highWaterMark: READ_BYTES })) {
        if (!(piece instanceof Uint8Array)) throw new TypeError("a file without encoding gives bytes");
        read += piece.length;
        yield piece;
      }
    } finally {
      await fs.rm(snapshot.file, { force: true });
    }
  }

  async function finish(): Promise<StreamSummary> {
    if (read !== snapshot.sizeBytes) {
      throw new BackupctlError(
        "SOURCE_FAILED",
        `the snapshot of ${name} ended after ${read} of ${snapshot.sizeBytes} bytes`,
      );
    }
    const { tables } = snapshot.inventory;
    return {
      entries: [
        {
          name,
          type: "database",
          offset: 0,
          size: snapshot.sizeBytes,
          page_size: snapshot.inventory.page_size,
          tables: tables.length,
        },
      ],
      inventory: { ...snapshot.inventory },
      counts: { tables: tables.length, rows: tables.reduce((sum, table) => sum + (table.rows ?? 0), 0) },
      versions: { sqlite: snapshot.version, method: "online backup" },
      unreadable: [],
      warnings: tables
        .filter((table) => table.rows === undefined)
        .map((table) => `the rows of virtual table ${table.name} can't be counted here`),
    };
  }
}

function sourceFailure(
  error: unknown,
  at: { readonly file: string; readonly subject: string; readonly copy: string },
): BackupctlError {
  const code = sqliteCode(error);
  const fail = (what: string, hint: string) =>
    new BackupctlError("SOURCE_FAILED", `${at.subject}: ${at.file} ${what}`, { hint, cause: error });
  if (code?.startsWith("SQLITE_BUSY") || code === "SQLITE_LOCKED") {
    return fail(
      "stayed locked by another process",
      "Raise `busy_timeout` of this source, or find who holds the lock: `fuser -v` on the file.",
    );
  }
  if (code === "SQLITE_FULL")
    return fail(
      "could not be copied: no room for temporary files",
      `Free space on the disk of ${path.dirname(at.copy)}, or have \`state_dir\` lie on another one.`,
    );
  if (code === "SQLITE_NOTADB")
    return fail(
      "is not an SQLite database, or it is encrypted",
      "Back up an encrypted database with the files or the command engine.",
    );
  if (code?.startsWith("SQLITE_CORRUPT"))
    return fail("is damaged", "Repair it (`sqlite3 app.db .recover`), or restore the last good backup.");
  if (code?.startsWith("SQLITE_CANTOPEN") || code?.startsWith("SQLITE_READONLY")) {
    return fail(
      "can't be read consistently by this user",
      "Run backupctl as the application's user or as root: SQLite needs to write lock files beside the database.",
    );
  }
  return fail(`could not be backed up: ${messageOf(error)}`, "See the message; `sqlite3` on the file may tell more.");
}
