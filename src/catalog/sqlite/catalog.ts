import { z } from "zod";
import type { BackupId, BackupMetadata, BackupNotes, BackupStatus } from "../../domain/backup.ts";
import { backupIdSchema } from "../../domain/metadata-schema.ts";
import type { RestoredPlace } from "../../domain/unfinished-restore.ts";
import { BackupctlError } from "../../errors.ts";
import type {
  BackupFilter,
  Catalog,
  CatalogBackup,
  CatalogEvent,
  CopyRecord,
  FoundBackup,
  IndexCacheRecord,
  NewRun,
  RecordedRestore,
  RestoreEvent,
  UnreadableBackup,
  VerificationEvent,
} from "../catalog.ts";
import { insertRun, upsertCommitted, upsertCopy, upsertUnreadable } from "./backup-writes.ts";
import type { Connection, SqlValue } from "./connection.ts";
import { conditionOf, millisecondsOf } from "./filter.ts";
import { backupOf, copyOf, eventOf, indexCacheOf, parse, restoreOf } from "./rows.ts";
import { SqliteScheduleLog } from "./schedule-log.ts";

const REPOSITORY = "repository_id";
const RECENT_DURATIONS = 20;
const MIN_PREFIX_LENGTH = 4;
const idRowSchema = z.object({ id: backupIdSchema });
const SELECT = "SELECT *, id IN (SELECT backup_id FROM metadata) AS committed FROM backups";

/** The catalog in one SQLite file. Open it with `openSqliteCatalog`. */
export class SqliteCatalog implements Catalog {
  readonly schedules: SqliteScheduleLog;
  readonly #connection: Connection;
  readonly #file: string;

  constructor(connection: Connection, file: string) {
    this.#connection = connection;
    this.#file = file;
    this.schedules = new SqliteScheduleLog(connection);
  }

  repositoryId(): string | undefined {
    const row = this.#connection.get("SELECT value FROM facts WHERE name = ?", REPOSITORY);
    return row === undefined ? undefined : parse(z.object({ value: z.string() }), row, "facts").value;
  }

  bindRepository(repositoryId: string): void {
    const bound = this.repositoryId();
    if (bound === repositoryId) return;
    if (bound !== undefined) {
      throw new BackupctlError(
        "REPOSITORY_MISMATCH",
        `catalog ${this.#file} belongs to repository ${bound}, not to ${repositoryId}`,
        { hint: "Check the storages in the config, or give this repository a state directory of its own." },
      );
    }
    this.#write((connection) =>
      connection.run("INSERT INTO facts (name, value) VALUES (?, ?)", REPOSITORY, repositoryId),
    );
  }

  begin(run: NewRun): void {
    this.#write((connection) => insertRun(connection, run));
  }

  complete(metadata: BackupMetadata, copies: readonly CopyRecord[], keysSha256?: string): void {
    this.#write((connection) => {
      upsertCommitted(connection, metadata, { trusted: true, keysSha256 });
      for (const copy of copies) upsertCopy(connection, copy);
    });
  }

  fail(id: BackupId, error: { readonly code: string; readonly message: string }, at: string): void {
    this.#update(
      id,
      `UPDATE backups SET status = 'failed', completed_at = ?, completed_ms = ?, pid = NULL, error_code = ?, error_message = ?
       WHERE id = ?`,
      at,
      millisecondsOf(at),
      error.code,
      error.message,
      id,
    );
  }

  restoreFromStorage(found: FoundBackup): void {
    this.#write((connection) => {
      const { metadata, trusted, notes, keysSha256 } = found;
      upsertCommitted(connection, metadata, { trusted, notes, keysSha256 });
      connection.run("DELETE FROM copies WHERE backup_id = ?", found.metadata.id);
      for (const copy of found.copies) upsertCopy(connection, copy);
    });
  }

  restoreUnreadable(found: UnreadableBackup): void {
    this.#write((connection) => {
      upsertUnreadable(connection, found);
      connection.run("DELETE FROM copies WHERE backup_id = ?", found.id);
      for (const copy of found.copies) upsertCopy(connection, copy);
    });
  }

  setStatus(id: BackupId, status: BackupStatus): void {
    this.#update(id, "UPDATE backups SET status = ? WHERE id = ?", status, id);
  }

  setNotes(id: BackupId, notes: BackupNotes): void {
    this.#update(id, "UPDATE backups SET notes = ? WHERE id = ?", JSON.stringify(notes), id);
  }

  setCopy(copy: CopyRecord): void {
    this.#write((connection) => {
      if (connection.get("SELECT 1 FROM backups WHERE id = ?", copy.backupId) === undefined) {
        throw this.#unknown(copy.backupId);
      }
      upsertCopy(connection, copy);
    });
  }

  removeCopy(id: BackupId, storage: string): void {
    this.#write((connection) => connection.run("DELETE FROM copies WHERE backup_id = ? AND storage = ?", id, storage));
  }

  remove(id: BackupId): void {
    this.#write((connection) => {
      connection.run("DELETE FROM backups WHERE id = ?", id);
      for (const table of ["metadata", "artifacts", "copies", "verifications", "index_cache"]) {
        connection.run(`DELETE FROM ${table} WHERE backup_id = ?`, id);
      }
      connection.run("DELETE FROM restores WHERE backup_id = ? AND status NOT IN ('running', 'mixed')", id);
    });
  }

  get(id: BackupId): CatalogBackup | undefined {
    return this.#backups(`${SELECT} WHERE id = ?`, id)[0];
  }

  findByPrefix(prefix: string): readonly CatalogBackup[] {
    if (!/^[0-9a-f-]+$/.test(prefix) || prefix.length < MIN_PREFIX_LENGTH) {
      throw new RangeError(`"${prefix}" is not the beginning of a backup id`);
    }
    // "g" sorts after every hex digit and the dash, so the primary key's index finds the range.
    return this.#backups(`${SELECT} WHERE id >= ? AND id < ? ORDER BY started_ms DESC, id`, prefix, `${prefix}g`);
  }

  list(filter: BackupFilter): { readonly backups: readonly CatalogBackup[]; readonly total: number } {
    const { sql, parameters } = conditionOf(filter);
    const order = filter.order === "oldest" ? "started_ms ASC, id DESC" : "started_ms DESC, id ASC";
    const counted = this.#connection.get(`SELECT count(*) AS total FROM backups WHERE ${sql}`, ...parameters);
    const backups = this.#backups(
      `${SELECT} WHERE ${sql} ORDER BY ${order} LIMIT ? OFFSET ?`,
      ...parameters,
      filter.limit ?? -1,
      filter.offset ?? 0,
    );
    return { backups, total: parse(z.object({ total: z.number() }), counted, "backups").total };
  }

  childrenOf(id: BackupId): readonly CatalogBackup[] {
    return this.#backups(`${SELECT} WHERE parent_id = ? ORDER BY started_ms DESC, id`, id);
  }

  lastCommitOfHost(host: string): BackupId | undefined {
    const row = this.#connection.get(
      `SELECT id FROM backups JOIN metadata ON backup_id = id
       WHERE host = ? AND trusted = 1 ORDER BY completed_ms DESC, id LIMIT 1`,
      host,
    );
    return row === undefined ? undefined : parse(idRowSchema, row, "backups").id;
  }

  addVerification(record: VerificationEvent): void {
    this.#write((connection) =>
      connection.run(
        `INSERT INTO verifications (backup_id, at, depth, passed, storage, seconds, issues) VALUES (?, ?, ?, ?, ?, ?, ?)`,
        record.backupId,
        record.at,
        record.depth,
        record.passed ? 1 : 0,
        record.storage,
        record.seconds,
        JSON.stringify(record.issues),
      ),
    );
  }

  addRestore(record: RestoreEvent): void {
    this.#write((connection) =>
      connection.run(
        `INSERT OR REPLACE INTO restores (id, backup_id, at, at_ms, target, status, bytes, seconds, sources)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        record.id,
        record.backupId,
        record.at,
        millisecondsOf(record.at),
        record.target,
        record.status,
        record.bytes,
        record.seconds,
        JSON.stringify(record.places),
      ),
    );
  }

  unfinishedRestores(): readonly RecordedRestore[] {
    const sql =
      "SELECT id, at, target, status, sources FROM restores WHERE status IN ('running', 'mixed') ORDER BY at_ms";
    return this.#connection.all(sql).map(restoreOf);
  }

  setPlaces(restoreId: string, places: readonly RestoredPlace[]): void {
    this.#write((connection) =>
      places.length === 0
        ? connection.run("UPDATE restores SET status = 'failed' WHERE id = ?", restoreId)
        : connection.run("UPDATE restores SET sources = ? WHERE id = ?", JSON.stringify(places), restoreId),
    );
  }

  restoresOf(id: BackupId): { readonly count: number; readonly last: string | undefined } {
    const rows = this.#connection.all(
      "SELECT at FROM restores WHERE backup_id = ? AND status = 'completed' ORDER BY at_ms DESC",
      id,
    );
    const last = rows[0] === undefined ? undefined : parse(z.object({ at: z.string() }), rows[0], "restores").at;
    return { count: rows.length, last };
  }

  recentDurations(filter: {
    readonly type?: string;
    readonly mode?: string;
    readonly operation: "create" | "restore";
  }): readonly { readonly bytes: number; readonly seconds: number }[] {
    const rows = this.#connection.all(
      filter.operation === "create"
        ? `SELECT size AS bytes, duration_seconds AS seconds FROM backups
           WHERE size IS NOT NULL AND coalesce(?, type) IS type AND coalesce(?, mode) IS mode
           ORDER BY started_ms DESC LIMIT ?`
        : `SELECT bytes, seconds FROM restores LEFT JOIN backups ON backups.id = backup_id
           WHERE restores.status = 'completed' AND coalesce(?, type) IS type AND coalesce(?, mode) IS mode
           ORDER BY at_ms DESC LIMIT ?`,
      filter.type ?? null,
      filter.mode ?? null,
      RECENT_DURATIONS,
    );
    const schema = z.object({ bytes: z.number(), seconds: z.number() });
    return rows.map((row) => parse(schema, row, filter.operation === "create" ? "backups" : "restores"));
  }

  addEvent(event: CatalogEvent): void {
    this.#write((connection) =>
      connection.run(
        "INSERT INTO events (at, action, user, backup_id, status, detail) VALUES (?, ?, ?, ?, ?, ?)",
        event.at,
        event.action,
        event.user,
        event.backupId ?? null,
        event.status,
        JSON.stringify(event.detail),
      ),
    );
  }

  events(filter: { readonly backupId?: BackupId; readonly limit?: number }): readonly CatalogEvent[] {
    const { backupId, limit = -1 } = filter;
    const rows =
      backupId === undefined
        ? this.#connection.all("SELECT * FROM events ORDER BY number DESC LIMIT ?", limit)
        : this.#connection.all(
            "SELECT * FROM events WHERE backup_id = ? ORDER BY number DESC LIMIT ?",
            backupId,
            limit,
          );
    return rows.map(eventOf);
  }

  setIndexCache(record: IndexCacheRecord): void {
    this.#write((connection) =>
      connection.run(
        "INSERT OR REPLACE INTO index_cache (backup_id, source, root_sha256, index_sha256) VALUES (?, ?, ?, ?)",
        record.backupId,
        record.source,
        record.rootSha256,
        record.indexSha256,
      ),
    );
  }

  indexCache(backupId: BackupId, source: string): IndexCacheRecord | undefined {
    const row = this.#connection.get("SELECT * FROM index_cache WHERE backup_id = ? AND source = ?", backupId, source);
    return row === undefined ? undefined : indexCacheOf(row);
  }

  together(work: () => void): void {
    this.#write(work);
  }

  close(): void {
    this.#connection.close();
  }

  #write(change: (connection: Connection) => unknown): void {
    this.#connection.write(() => change(this.#connection));
  }

  /** An update that meets no row is an error: the caller believes that it recorded something. */
  #update(id: BackupId, sql: string, ...parameters: SqlValue[]): void {
    this.#write((connection) => {
      if (connection.run(sql, ...parameters) === 0) throw this.#unknown(id);
    });
  }

  #unknown(id: BackupId): BackupctlError {
    return new BackupctlError("BACKUP_NOT_FOUND", `catalog ${this.#file} does not know backup ${id}`, {
      hint: "Run `backupctl catalog rebuild`.",
    });
  }

  #backups(sql: string, ...parameters: SqlValue[]): readonly CatalogBackup[] {
    const rows = this.#connection.all(sql, ...parameters);
    const ids = rows.map((row) => parse(idRowSchema, row, "backups").id);
    const copies = Map.groupBy(
      this.#connection
        .all(
          "SELECT * FROM copies WHERE backup_id IN (SELECT value FROM json_each(?)) ORDER BY storage",
          JSON.stringify(ids),
        )
        .map(copyOf),
      (copy): string => copy.backupId,
    );
    return rows.map((row, index) => {
      const id = ids[index] ?? "";
      return backupOf(row, copies.get(id) ?? [], () =>
        this.#connection.get("SELECT content FROM metadata WHERE backup_id = ?", id),
      );
    });
  }
}
