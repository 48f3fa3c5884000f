import { z } from "zod";
import {
  type BackupId,
  type BackupMetadata,
  type BackupNotes,
  CATEGORIES,
  COMPRESSION_ALGORITHMS,
  isBackupId,
  MODES,
  STATUSES,
} from "./backup.ts";
import { backupDirectory, isName, MAX_PACK_NUMBER, parseArtifactName, parseBackupDirectory } from "./object-names.ts";

/** The schemas of what is written about a backup, for everyone who reads it back: format and catalog. Import lazily. */

const MAX_PACK_BYTES = 32 * 1024 * 1024;

export const backupIdSchema = z.custom<BackupId>(
  (value) => typeof value === "string" && isBackupId(value),
  "not a backup id (UUID v4 in lowercase)",
);
const nameSchema = z.string().refine(isName, "not a name ([a-z0-9][a-z0-9_-]{0,63})");
/** Bytes and counts: JSON numbers that are exact. */
const countSchema = z.int().min(0);
export const instantSchema = z.iso.datetime();
const checksumSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, "not a sha256 checksum");
const pathSchema = z.string().refine((path) => parseBackupDirectory(path) !== undefined, "not a backup directory");
const countsSchema = z.record(z.string(), countSchema);

const storedArtifactSchema = z.strictObject({
  artifact_id: z.string().regex(/^[0-9a-f]{32}$/, "not an artifact id (32 hex digits)"),
  name: z.string().refine((name) => parseArtifactName(name) !== undefined, "not an artifact name"),
  packs: z.array(countSchema.max(MAX_PACK_BYTES)).max(MAX_PACK_NUMBER + 1),
});

const sourceSchema = z
  .strictObject({
    name: nameSchema,
    engine: nameSchema,
    kind: nameSchema,
    component: nameSchema,
    category: z.string().exactOptional(),
    status: z.enum(["completed", "completed_with_errors", "failed"]),
    error: z.strictObject({ code: z.string(), message: z.string() }).exactOptional(),
    size: countSchema,
    new_size: countSchema,
    stored_size: countSchema,
    counts: countsSchema,
    versions: z.record(z.string(), z.string()),
    duration_seconds: z.number().min(0),
    unreadable: countSchema,
    narrowed: z.literal(true).exactOptional(),
    warnings: z.array(z.string()),
    data: storedArtifactSchema.exactOptional(),
    index: storedArtifactSchema.exactOptional(),
    root: storedArtifactSchema.exactOptional(),
  })
  .check((context) => {
    const { name, kind } = context.value;
    for (const part of ["data", "index", "root"] as const) {
      const stored = context.value[part];
      const artifact = stored === undefined ? undefined : parseArtifactName(stored.name);
      if (artifact === undefined) continue;
      if (artifact.source !== name || artifact.kind !== kind || artifact.part !== part) {
        context.issues.push({
          code: "custom",
          input: stored,
          path: [part, "name"],
          message: "belongs to another artifact",
        });
      }
    }
  });

const lineageMemberSchema = z.strictObject({
  id: backupIdSchema,
  path: pathSchema,
  checksum: checksumSchema.exactOptional(),
});

const componentSchema = z.strictObject({
  size: countSchema,
  stored_size: countSchema,
  sources: z.array(nameSchema),
  counts: countsSchema,
});

const metadataShape = z.strictObject({
  version: z.literal(1),
  id: backupIdSchema,
  repository_id: z.uuid(),
  type: nameSchema,
  mode: z.enum(MODES),
  category: z.enum(CATEGORIES),
  timestamp: instantSchema,
  completed_at: instantSchema,
  duration_seconds: z.number().min(0),
  size: countSchema,
  compressed_size: countSchema,
  stored_size: countSchema,
  encrypted: z.boolean(),
  encryption_algorithm: z.literal("AES-256-GCM").nullable(),
  key_id: z
    .string()
    .regex(/^[0-9a-f]{32}$/, "not a key id (32 hex digits)")
    .nullable(),
  compressed: z.boolean(),
  compression: z.strictObject({ algorithm: z.enum(COMPRESSION_ALGORITHMS), level: z.int() }).nullable(),
  checksum: checksumSchema,
  parent_id: backupIdSchema.nullable(),
  previous_id: backupIdSchema.nullable(),
  lineage: z.array(lineageMemberSchema).min(1),
  storage_path: pathSchema,
  status: z.enum(STATUSES),
  created_by: z.string(),
  host: z.string(),
  software_version: z.string(),
  tags: z.array(z.string()),
  description: z.string().nullable(),
  retention_until: instantSchema.nullable(),
  components: z.record(nameSchema, componentSchema),
  sources: z.array(sourceSchema),
  objects: z.strictObject({ count: countSchema, bytes: countSchema }),
  verified: z.enum(["none", "blocks", "full"]),
  warnings: z.array(z.string()),
});

/** metadata.json without `mac` and `signature`. Besides the shape it checks what must agree inside one metadata. */
export const metadataSchema: z.ZodType<BackupMetadata> = metadataShape.check((context) => {
  // What does not even have the shape can't be compared.
  if (context.issues.length > 0) return;
  for (const [path, message] of disagreements(context.value)) {
    context.issues.push({ code: "custom", input: context.value[path], path: [path], message });
  }
});

type Metadata = z.infer<typeof metadataShape>;

function disagreements(metadata: Metadata): readonly (readonly [keyof Metadata, string])[] {
  return [
    ...placeDisagreements(metadata),
    ...lineageDisagreements(metadata),
    ...(metadata.encrypted && (metadata.key_id === null || metadata.encryption_algorithm === null)
      ? [["encrypted", "is encrypted but names no key or algorithm"] as const]
      : []),
    ...(new Set(metadata.sources.map((source) => source.name)).size === metadata.sources.length
      ? []
      : [["sources", "names a source twice"] as const]),
  ];
}

function placeDisagreements(metadata: Metadata): readonly (readonly [keyof Metadata, string])[] {
  return backupDirectory(metadata) === metadata.storage_path
    ? []
    : [["storage_path", "is the directory of another backup"]];
}

/** Place 0 is a full backup, the last place this one, the place before it the parent; only ancestors carry checksums. */
function lineageDisagreements(metadata: Metadata): readonly (readonly [keyof Metadata, string])[] {
  const { lineage, mode } = metadata;
  const self = lineage.at(-1);
  const found: (readonly [keyof Metadata, string])[] = [];
  if (self?.id !== metadata.id || self.path !== metadata.storage_path) {
    found.push(["lineage", "does not end with this backup"]);
  }
  if ((lineage.at(-2)?.id ?? null) !== metadata.parent_id) found.push(["parent_id", "is not the last ancestor"]);
  if ((mode === "full") !== (lineage.length === 1)) found.push(["lineage", `does not fit a ${mode} backup`]);
  if (mode === "differential" && lineage.length !== 2) found.push(["lineage", "does not fit a differential backup"]);
  if (lineage.slice(0, -1).some((member) => member.checksum === undefined)) {
    found.push(["lineage", "lacks the checksum of an ancestor"]);
  }
  if (new Set(lineage.map((member) => member.id)).size !== lineage.length) {
    found.push(["lineage", "names a backup twice"]);
  }
  return found;
}

export const notesSchema: z.ZodType<BackupNotes> = z.strictObject({
  hold: z.strictObject({ reason: z.string(), at: instantSchema, by: z.string() }).exactOptional(),
  tags: z.array(z.string()).exactOptional(),
  description: z.string().exactOptional(),
  retention_until: instantSchema.exactOptional(),
  quarantine: z.strictObject({ reason: z.string(), at: instantSchema }).exactOptional(),
  verified: z
    .strictObject({
      at: instantSchema,
      depth: z.enum(["quick", "full", "deep"]),
      passed: z.boolean(),
      host: z.string(),
    })
    .exactOptional(),
});

/** What is wrong, in one line: the first three issues with their paths. */
export function describeIssues(error: z.ZodError): string {
  const shown = error.issues.slice(0, 3).map((issue) => `${issue.path.join(".") || "content"}: ${issue.message}`);
  return error.issues.length > 3 ? `${shown.join("; ")}; and ${error.issues.length - 3} more` : shown.join("; ");
}
