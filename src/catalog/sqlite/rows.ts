import { z } from "zod";
import { type BackupMetadata, type BackupNotes, STATUSES } from "../../domain/backup.ts";
import { backupIdSchema, describeIssues, metadataSchema, notesSchema } from "../../domain/metadata-schema.ts";
import { STAGES } from "../../domain/unfinished-restore.ts";
import {
  type CatalogBackup,
  type CatalogEvent,
  type CopyRecord,
  DamagedCatalogError,
  type IndexCacheRecord,
  type MetadataOutline,
  type RecordedRestore,
} from "../catalog.ts";

/** Rows as SQLite gives them, read like foreign data: the file may have been written by anything. */

const backupRowSchema = z.object({
  id: backupIdSchema,
  type: z.string(),
  mode: z.string(),
  category: z.string(),
  status: z.enum(STATUSES),
  timestamp: z.string(),
  completed_at: z.string().nullable(),
  host: z.string(),
  created_by: z.string(),
  storage_path: z.string(),
  parent_id: backupIdSchema.nullable(),
  tags: z.string(),
  description: z.string().nullable(),
  pid: z.number().nullable(),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  trusted: z.number(),
  notes: z.string(),
  keys_sha256: z.string().nullable(),
  committed: z.number(),
});

const contentRowSchema = z.object({ content: z.string() });

const outlineSchema = z.object({
  duration_seconds: z.number(),
  size: z.number(),
  stored_size: z.number(),
  encrypted: z.boolean(),
  verified: z.enum(["none", "blocks", "full"]),
  retention_until: z.string().nullable(),
  components: z.record(z.string(), z.unknown()),
  warnings: z.array(z.unknown()),
  sources: z.array(z.object({ warnings: z.array(z.unknown()) })),
});

const namesSchema = z.array(z.string());

const copyRowSchema = z.object({
  backup_id: backupIdSchema,
  storage: z.string(),
  state: z.enum(["complete", "pending", "damaged", "missing"]),
  at: z.string(),
});

const eventRowSchema = z.object({
  at: z.string(),
  action: z.string(),
  user: z.string(),
  backup_id: backupIdSchema.nullable(),
  status: z.string(),
  detail: z.string(),
});

const restoreRowSchema = z.object({
  id: z.string(),
  at: z.string(),
  target: z.string(),
  status: z.enum(["running", "mixed"]),
  sources: z.string(),
});

/** An earlier release wrote names alone. */
const placesSchema = z.array(
  z.union([
    z.object({ source: z.string(), place: z.string(), stage: z.enum(STAGES), marked: z.boolean() }),
    z.string().transform((source) => ({ source, place: "", stage: "coming" as const, marked: false })),
  ]),
);

const detailSchema = z.record(z.string(), z.unknown());

const indexCacheRowSchema = z.object({
  backup_id: backupIdSchema,
  source: z.string(),
  root_sha256: z.string(),
  index_sha256: z.string(),
});

/**
 * The metadata of 10,000 backups takes seconds and more memory than all the rest, and most readers look at few of them: it is
 * read when it is first asked for, as it is then. `contentRow` gives its row.
 */
export function backupOf(row: unknown, copies: readonly CopyRecord[], contentRow: () => unknown): CatalogBackup {
  const backup = parse(backupRowSchema, row, "backups");
  const notes = notesOf(backup.notes);
  let parsed: BackupMetadata | undefined;
  return {
    id: backup.id,
    type: backup.type,
    mode: backup.mode,
    category: backup.category,
    status: backup.status,
    timestamp: backup.timestamp,
    completedAt: backup.completed_at ?? undefined,
    host: backup.host,
    createdBy: backup.created_by,
    storagePath: backup.storage_path,
    parentId: backup.parent_id ?? undefined,
    tags: notes.tags ?? parse(namesSchema, json(backup.tags), "backups"),
    description: notes.description ?? backup.description ?? undefined,
    pid: backup.pid ?? undefined,
    error: backup.error_code === null ? undefined : { code: backup.error_code, message: backup.error_message ?? "" },
    trusted: backup.trusted === 1,
    keysSha256: backup.keys_sha256 ?? undefined,
    notes,
    copies,
    committed: backup.committed === 1,
    get metadata(): BackupMetadata | undefined {
      if (backup.committed === 1) parsed ??= metadataOf(contentRow());
      return parsed;
    },
    get outline(): MetadataOutline | undefined {
      return backup.committed === 1 ? outlineOf(contentRow()) : undefined;
    },
  };
}

function outlineOf(row: unknown): MetadataOutline | undefined {
  if (row === undefined) return undefined;
  const { sources, warnings, components, ...facts } = parse(outlineSchema, contentOf(row), "metadata");
  return {
    ...facts,
    components: Object.keys(components).sort(),
    warnings: sources.reduce((sum, source) => sum + source.warnings.length, warnings.length),
  };
}

function metadataOf(row: unknown): BackupMetadata | undefined {
  if (row === undefined) return undefined;
  return parse(metadataSchema, contentOf(row), "metadata");
}

function contentOf(row: unknown): unknown {
  return json(parse(contentRowSchema, row, "metadata").content);
}

function notesOf(text: string): BackupNotes {
  return text === "{}" ? {} : parse(notesSchema, json(text), "backups");
}

export function copyOf(row: unknown): CopyRecord {
  const { backup_id, ...rest } = parse(copyRowSchema, row, "copies");
  return { backupId: backup_id, ...rest };
}

export function restoreOf(row: unknown): RecordedRestore {
  const { sources, ...rest } = parse(restoreRowSchema, row, "restores");
  return { ...rest, places: parse(placesSchema, json(sources), "restores") };
}

export function eventOf(row: unknown): CatalogEvent {
  const { backup_id, detail, ...rest } = parse(eventRowSchema, row, "events");
  const parsed = parse(detailSchema, json(detail), "events");
  return { ...rest, detail: parsed, ...(backup_id === null ? {} : { backupId: backup_id }) };
}

export function indexCacheOf(row: unknown): IndexCacheRecord {
  const record = parse(indexCacheRowSchema, row, "index_cache");
  return {
    backupId: record.backup_id,
    source: record.source,
    rootSha256: record.root_sha256,
    indexSha256: record.index_sha256,
  };
}

/** @throws `DamagedCatalogError` if a row of that table is not what this program writes. */
export function parse<T>(schema: z.ZodType<T>, value: unknown, table: string): T {
  // zod would compile the schema, which takes as long as parsing some hundred rows.
  const parsed = schema.safeParse(value, { jitless: true });
  if (parsed.success) return parsed.data;
  throw new DamagedCatalogError(`the catalog has a malformed row in ${table}: ${describeIssues(parsed.error)}`);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DamagedCatalogError("the catalog has a malformed row: it is not JSON", error);
  }
}
