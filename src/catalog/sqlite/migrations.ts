/**
 * The catalog's schema, one step a release that changed it. A step is applied in one transaction with its number, so a kill in
 * the middle leaves the old schema or the new one. Released steps are never edited.
 *
 * Times are kept twice: as text, as they were written, and in milliseconds, to sort and compare by. The metadata of a backup
 * is in a table of its own, so that a list reads small rows only.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE backups (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    mode TEXT NOT NULL,
    category TEXT NOT NULL,
    status TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    completed_at TEXT,
    completed_ms INTEGER,
    host TEXT NOT NULL,
    created_by TEXT NOT NULL,
    storage_path TEXT NOT NULL,
    parent_id TEXT,
    tags TEXT NOT NULL,
    description TEXT,
    pid INTEGER,
    error_code TEXT,
    error_message TEXT,
    trusted INTEGER NOT NULL,
    notes TEXT NOT NULL,
    size INTEGER,
    duration_seconds REAL
  ) STRICT;
  CREATE INDEX backups_by_time ON backups (started_ms DESC, id);
  CREATE INDEX backups_by_parent ON backups (parent_id);
  CREATE INDEX backups_by_host ON backups (host, completed_ms);

  CREATE TABLE metadata (
    backup_id TEXT PRIMARY KEY,
    content TEXT NOT NULL
  ) STRICT;

  CREATE TABLE artifacts (
    backup_id TEXT NOT NULL,
    source TEXT NOT NULL,
    engine TEXT NOT NULL,
    kind TEXT NOT NULL,
    component TEXT NOT NULL,
    category TEXT,
    status TEXT NOT NULL,
    size INTEGER NOT NULL,
    new_size INTEGER NOT NULL,
    stored_size INTEGER NOT NULL,
    PRIMARY KEY (backup_id, source)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX artifacts_by_source ON artifacts (source);
  CREATE INDEX artifacts_by_component ON artifacts (component);

  CREATE TABLE copies (
    backup_id TEXT NOT NULL,
    storage TEXT NOT NULL,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (backup_id, storage)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE verifications (
    number INTEGER PRIMARY KEY,
    backup_id TEXT NOT NULL,
    at TEXT NOT NULL,
    depth TEXT NOT NULL,
    passed INTEGER NOT NULL,
    storage TEXT NOT NULL,
    seconds REAL NOT NULL,
    issues TEXT NOT NULL
  ) STRICT;
  CREATE INDEX verifications_by_backup ON verifications (backup_id);

  CREATE TABLE restores (
    id TEXT PRIMARY KEY,
    backup_id TEXT NOT NULL,
    at TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    target TEXT NOT NULL,
    status TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    seconds REAL NOT NULL,
    sources TEXT NOT NULL
  ) STRICT;
  CREATE INDEX restores_by_backup ON restores (backup_id, at_ms);

  CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    action TEXT NOT NULL,
    user TEXT NOT NULL,
    backup_id TEXT,
    status TEXT NOT NULL,
    detail TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_by_backup ON events (backup_id);

  CREATE TABLE index_cache (
    backup_id TEXT NOT NULL,
    source TEXT NOT NULL,
    root_sha256 TEXT NOT NULL,
    index_sha256 TEXT NOT NULL,
    PRIMARY KEY (backup_id, source)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE backups ADD COLUMN keys_sha256 TEXT;
  `,
  `
  CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    times TEXT NOT NULL,
    since TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE schedule_runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    schedule TEXT NOT NULL,
    scheduled_for TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    status TEXT NOT NULL,
    summary TEXT
  ) STRICT;
  CREATE INDEX schedule_runs_by_schedule ON schedule_runs (schedule, number);
  `,
];
