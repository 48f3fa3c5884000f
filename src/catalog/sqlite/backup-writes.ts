import type { BackupMetadata, BackupNotes } from "../../domain/backup.ts";
import { directoryFacts } from "../../domain/object-names.ts";
import type { CopyRecord, NewRun, UnreadableBackup } from "../catalog.ts";
import type { Connection } from "./connection.ts";
import { millisecondsOf } from "./filter.ts";

/** The statements that write a backup's rows; each is called inside a transaction. */

export function insertRun(connection: Connection, run: NewRun): void {
  connection.run(
    `INSERT INTO backups (id, type, mode, category, status, timestamp, started_ms, host, created_by, storage_path, parent_id,
       tags, description, pid, trusted, notes)
     VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '{}')`,
    run.id,
    run.type,
    run.mode,
    run.category,
    run.timestamp,
    millisecondsOf(run.timestamp),
    run.host,
    run.createdBy,
    run.storagePath,
    run.parentId ?? null,
    JSON.stringify(run.tags),
    run.description ?? null,
    run.pid,
  );
}

/** Everything that metadata says, in place of what the row said; notes and the keys object's SHA-256 stay unless given. */
export function upsertCommitted(
  connection: Connection,
  metadata: BackupMetadata,
  known: { readonly trusted: boolean; readonly notes?: BackupNotes; readonly keysSha256?: string | undefined },
): void {
  connection.run(
    `INSERT INTO backups (id, type, mode, category, status, timestamp, started_ms, completed_at, completed_ms, host,
       created_by, storage_path, parent_id, tags, description, trusted, notes, size, duration_seconds, keys_sha256)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '{}', ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET type = excluded.type, mode = excluded.mode, category = excluded.category,
       status = excluded.status, timestamp = excluded.timestamp, started_ms = excluded.started_ms,
       completed_at = excluded.completed_at, completed_ms = excluded.completed_ms, host = excluded.host,
       created_by = excluded.created_by, storage_path = excluded.storage_path, parent_id = excluded.parent_id,
       tags = excluded.tags, description = excluded.description, trusted = excluded.trusted, size = excluded.size,
       duration_seconds = excluded.duration_seconds, keys_sha256 = coalesce(excluded.keys_sha256, keys_sha256), pid = NULL, error_code = NULL, error_message = NULL`,
    metadata.id,
    metadata.type,
    metadata.mode,
    metadata.category,
    metadata.status,
    metadata.timestamp,
    millisecondsOf(metadata.timestamp),
    metadata.completed_at,
    millisecondsOf(metadata.completed_at),
    metadata.host,
    metadata.created_by,
    metadata.storage_path,
    metadata.parent_id,
    JSON.stringify(metadata.tags),
    metadata.description,
    known.trusted ? 1 : 0,
    metadata.size,
    metadata.duration_seconds,
    known.keysSha256 ?? null,
  );
  if (known.notes !== undefined) {
    connection.run("UPDATE backups SET notes = ? WHERE id = ?", JSON.stringify(known.notes), metadata.id);
  }
  connection.run(
    "INSERT OR REPLACE INTO metadata (backup_id, content) VALUES (?, ?)",
    metadata.id,
    JSON.stringify(metadata),
  );
  replaceArtifacts(connection, metadata);
}

const UNKNOWN = "unknown";

/** All that the place says. What a row says already of a run is better. */
export function upsertUnreadable(connection: Connection, { id, storagePath, error, notes }: UnreadableBackup): void {
  const { type, mode, category, timestamp } = directoryFacts(storagePath);
  connection.run(
    `INSERT INTO backups (id, type, mode, category, status, timestamp, started_ms, host, created_by, storage_path, tags,
       trusted, notes, error_code, error_message)
     VALUES (?, ?, ?, ?, 'unreadable', ?, ?, ?, ?, ?, '[]', 0, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET status = excluded.status, storage_path = excluded.storage_path, notes = excluded.notes,
       error_code = excluded.error_code, error_message = excluded.error_message, pid = NULL`,
    id,
    type,
    mode,
    category,
    timestamp,
    millisecondsOf(timestamp),
    UNKNOWN,
    UNKNOWN,
    storagePath,
    JSON.stringify(notes),
    error.code,
    error.message,
  );
}

function replaceArtifacts(connection: Connection, metadata: BackupMetadata): void {
  connection.run("DELETE FROM artifacts WHERE backup_id = ?", metadata.id);
  for (const source of metadata.sources) {
    connection.run(
      `INSERT INTO artifacts (backup_id, source, engine, kind, component, category, status, size, new_size, stored_size)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      metadata.id,
      source.name,
      source.engine,
      source.kind,
      source.component,
      source.category ?? null,
      source.status,
      source.size,
      source.new_size,
      source.stored_size,
    );
  }
}

export function upsertCopy(connection: Connection, copy: CopyRecord): void {
  connection.run(
    "INSERT OR REPLACE INTO copies (backup_id, storage, state, at) VALUES (?, ?, ?, ?)",
    copy.backupId,
    copy.storage,
    copy.state,
    copy.at,
  );
}
