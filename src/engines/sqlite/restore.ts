import { promises as fs } from "node:fs";
import * as path from "node:path";
import { count } from "../../domain/count.ts";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import { readFileIfExists, syncDirectory } from "../../platform/files.ts";
import type { EngineContext, RestoreOutcome, StreamRestore, TargetState } from "../engine.ts";
import { existingFile, moveIntoPlace, refuseExisting, stateOfLink, writeBeside } from "../file-target.ts";
import { openDatabase, readHeader, sqliteCode } from "./database.ts";
import { checkDatabase, inventoryOf } from "./inspection.ts";
import { type Inventory, storedInventory } from "./inventory.ts";

type Check = RestoreOutcome["checks"][number];

/** Never opens a WAL database that nobody has open: that would make files beside it. */
export async function inspectFile(file: string, signal: AbortSignal): Promise<TargetState> {
  const found = await existingFile(file);
  const place = `SQLite database ${file}`;
  if (found === undefined) return { place, file, exists: false, contents: [], overwrites: [], downtime: false };
  if (found.isLink) return { ...stateOfLink(place, file), downtime: true };
  const contents = [...(await contentsOf(file, signal)), ...(await usersOf(file))];
  return {
    place,
    file,
    exists: true,
    contents,
    overwrites: [`${file} is replaced by the database of the backup`],
    downtime: true,
  };
}

async function contentsOf(file: string, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const { sizeBytes, wal } = await readHeader(file, "target", "RESTORE_FAILED");
    const size = `${sizeBytes} bytes`;
    const undisturbed = wal ? await exists(`${file}-shm`) : !(await exists(`${file}-journal`));
    if (!undisturbed) return [`a database of ${size}`];
    const { tables } = await inventoryOf(file, signal);
    return [`${tablesWithRows(tables)}, ${size}`];
  } catch (error) {
    if (isBackupctlError(error, "RESTORE_FAILED")) return [`a file that is no SQLite database`];
    if (sqliteCode(error) !== undefined) return [`a database that can't be read now (${messageOf(error)})`];
    throw error;
  }
}

/** Signs of a process that has the database open. The lock is tried for, not waited for. */
async function usersOf(file: string): Promise<readonly string[]> {
  if (await exists(`${file}-shm`))
    return ["in use by a process, or left so by one that crashed: stop the application first"];
  if (await exists(`${file}-journal`))
    return ["a transaction is under way, or was broken off: stop the application first"];
  const header = await readHeader(file, "target", "RESTORE_FAILED").catch(() => undefined);
  if (header === undefined || header.wal) return [];
  return (await isLocked(file)) ? ["a process is writing to it: stop the application first"] : [];
}

async function isLocked(file: string): Promise<boolean> {
  const database = await openDatabase(file, 0);
  try {
    if (database.readonly) return false;
    database.pragma("query_only = 0");
    database.exec("begin exclusive");
    database.exec("rollback");
    return false;
  } catch (error) {
    if (sqliteCode(error)?.startsWith("SQLITE_BUSY")) return true;
    if (sqliteCode(error) !== undefined) return false;
    throw error;
  } finally {
    database.close();
  }
}

/** The target is the old database or the new one at every moment, and the new one has passed its checks. */
export async function restoreDatabase(
  file: string,
  request: StreamRestore,
  context: EngineContext,
): Promise<RestoreOutcome> {
  const replaced = await existingFile(file);
  if (replaced !== undefined) refuseExisting(file, request);
  context.activity(file);
  const temporary = await writeBeside(file, request, context.signal);
  try {
    const checks = await checkNewDatabase(temporary, request.inventory, context.signal);
    const failed = checks.find((check) => !check.passed);
    if (failed !== undefined) {
      throw new BackupctlError("RESTORE_FAILED", `${file}: ${failed.name} failed: ${failed.detail}`, {
        hint: "Nothing was replaced. Try another backup: `backupctl list`.",
      });
    }
    // SQLite would open what a link points to, which nobody named, and keeps that database's journals beside that.
    const isDatabase = replaced !== undefined && !replaced.isLink;
    if (isDatabase) await settle(file);
    const notMoved = request.coming?.();
    const warnings = await clearLeavings(file);
    // Without its journals the old one is not what it was.
    warnings.push(...(await moveIntoPlace(temporary, file, replaced, warnings.length === 0 ? notMoved : undefined)));
    if (replaced !== undefined) warnings.push(`restart whatever had ${file} open: it still sees the old database`);
    return { place: `SQLite database ${file}`, checks, warnings };
  } finally {
    await fs.rm(temporary, { force: true });
  }
}

async function checkNewDatabase(
  file: string,
  expected: StreamRestore["inventory"],
  signal: AbortSignal,
): Promise<readonly Check[]> {
  try {
    const found = await checkDatabase(file, signal);
    if (!("inventory" in found))
      return [{ name: "integrity", passed: false, detail: found.problems.slice(0, 3).join("; ") }];
    const integrity = { name: "integrity", passed: true, detail: "PRAGMA integrity_check found nothing" };
    return expected === undefined ? [integrity] : [integrity, compareRows(found.inventory, expected)];
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error;
    return [{ name: "integrity", passed: false, detail: messageOf(error) }];
  }
}

function tablesWithRows(tables: readonly { readonly rows?: number | undefined }[]): string {
  const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
  return `${count(tables.length, "table")} with ${count(rows, "row")}`;
}

function compareRows(found: Inventory, expected: Readonly<Record<string, unknown>>): Check {
  const tables = new Map(found.tables.map((table) => [table.name, table.rows]));
  const wanted = storedInventory.parse(expected).tables;
  const different = wanted.filter((table) => !tables.has(table.name) || tables.get(table.name) !== table.rows);
  return {
    name: "rows",
    passed: different.length === 0,
    detail:
      different.length === 0
        ? `${tablesWithRows(wanted)}, as in the backup`
        : `${different.map((table) => `${table.name}: ${tables.get(table.name) ?? "missing"} instead of ${table.rows}`).join("; ")}`,
  };
}

/**
 * Has SQLite merge the journals of the old database into it before that is replaced: it would play an old -wal or -journal into the
 * new file and ruin it, and they may hold the old database's last transactions. Killed after this and before the rename, the old database is whole.
 */
async function settle(file: string): Promise<void> {
  try {
    const header = await readHeader(file, "target", "RESTORE_FAILED");
    const database = await openDatabase(file, 0);
    try {
      database.pragma("query_only = 0");
      // Recovers what a crash left, and fails if a process is writing.
      database.exec("begin exclusive");
      database.exec("rollback");
      // Leaving WAL mode merges the -wal and removes it and the -shm; only the last process may do so.
      if (header.wal) database.pragma("journal_mode = delete");
    } finally {
      database.close();
    }
  } catch (error) {
    if (sqliteCode(error)?.startsWith("SQLITE_BUSY")) {
      throw new BackupctlError("RESTORE_FAILED", `${file} is in use by another process`, {
        hint: `Stop the application that has it open (\`fuser -v ${file}\` names it), then restore again. Nothing was replaced.`,
        cause: error,
      });
    }
    // A damaged old database can't be merged; what lies beside it is put aside, not deleted.
    if (sqliteCode(error) === undefined && !isBackupctlError(error, "RESTORE_FAILED")) throw error;
  }
}

/** Journals without a sound database of their own would be played into the new one. They are renamed, not lost. */
async function clearLeavings(file: string): Promise<string[]> {
  const warnings: string[] = [];
  for (const suffix of ["-wal", "-journal"]) {
    const journal = `${file}${suffix}`;
    const left = await readFileIfExists(journal);
    if (left === undefined) continue;
    if (left.length === 0) {
      await fs.rm(journal, { force: true });
      continue;
    }
    const aside = `${journal}.before-restore`;
    await fs.rename(journal, aside);
    warnings.push(`${journal} belonged to the replaced database and is now ${aside}`);
  }
  // Where the name would be too long there is none.
  if (await exists(`${file}-shm`)) await fs.rm(`${file}-shm`, { force: true });
  await syncDirectory(path.dirname(file));
  return warnings;
}

async function exists(file: string): Promise<boolean> {
  return fs.stat(file).then(
    () => true,
    () => false,
  );
}
