import { z } from "zod";
import { MODES } from "../domain/backup.ts";
import { engineDefinitions } from "../engines/registry.ts";
import { jobDefinitions } from "../jobs/registry.ts";
import { keyProviderDefinitions } from "../keys/registry.ts";
import { notifierDefinitions } from "../notify/registry.ts";
import { storageDefinitions } from "../storage/registry.ts";
import { durationField, nameField, timezoneField } from "./fields.ts";
import type { ConfigPath } from "./problems.ts";
import { retentionSection } from "./retention-options.ts";
import { DEFAULT_OPERATION, scheduleFrame, schedulesSection } from "./schedules.ts";
import { isRecord, valueAt } from "./schema-walk.ts";
import { secretChoices, withSecretForms } from "./secret-options.ts";
import { commonStorageOptions } from "./storage-options.ts";

/** The schema of the whole configuration, put together from what every storage, key provider and engine says of itself. */
export interface ConfigSchema {
  /** Checks everything, options of every adapter included. */
  readonly full: z.ZodType;
  /** The same with the adapters' options left open: its result has a static type. */
  readonly frame: ReturnType<typeof frameSchema>;
  readonly storages: ReadonlyMap<string, Variant>;
  readonly keys: ReadonlyMap<string, Variant>;
  readonly engines: ReadonlyMap<string, Variant>;
  readonly schedules: ReadonlyMap<string, Variant>;
  readonly notifiers: ReadonlyMap<string, Variant>;
}

export type Frame = z.output<ReturnType<typeof frameSchema>>;

/** One type of storage, key or notifier, or one engine. */
export interface Variant {
  readonly type: string;
  /** As the adapter declares them. */
  readonly shape: Readonly<Record<string, z.ZodType>>;
  readonly options: z.ZodObject;
  /** As the config file has them: with the three forms of every secret. */
  readonly inFile: z.ZodObject;
  /** What its adapter finds wrong between options that satisfy `options`. */
  readonly rules: Rules;
}

type Rules = (
  options: unknown,
  /** The whole section that they are of. */
  beside: Readonly<Record<string, unknown>>,
) => readonly { readonly path: readonly string[]; readonly message: string }[];

const TYPES_AND_MODES: readonly string[] = [...MODES, "transaction"];

/**
 * @param values a document, where that is all that will be checked: what none of its sections names is left out of the schema, since
 * putting it together takes a tenth of a short command's time
 */
export async function loadConfigSchema(values?: unknown): Promise<ConfigSchema> {
  const [storages, keys, engines, schedules, notifiers] = await Promise.all([
    variants("type", named("type", storageDefinitions, values, ["storages"]), commonStorageOptions),
    variants("provider", named("provider", keyProviderDefinitions, values, ["encryption", "keys"]), () => ({})),
    variants("engine", named("engine", engineDefinitions, values, ["sources"]), () => ({
      component: nameField
        .refine(
          (name) => !TYPES_AND_MODES.includes(name),
          "can't be a word that `create --type` has for something else",
        )
        .optional()
        .describe("The component this source belongs to: database, files, configuration, or a name of your own.")
        .meta({ example: "user_data" }),
      category: nameField
        .optional()
        .describe("A label for `create --category`, such as uploads, media or invoices.")
        .meta({ example: "media" }),
    })),
    scheduleVariants(values),
    variants("type", named("type", notifierDefinitions, values, ["notifiers"]), () => ({})),
  ]);
  const frame = frameSchema();
  const full = frame.extend({
    storages: storagesSection(unionOf("type", storages)),
    encryption: encryptionSection(unionOf("provider", keys)),
    sources: sourcesSection(unionOf("engine", engines)),
    schedules: schedulesSection(unionOf("operation", schedules)),
    notifiers: notifiersSection(unionOf("type", notifiers)),
  });
  return { full, frame, storages, keys, engines, schedules, notifiers };
}

/** All jobs or none: where there is a schedule, one more or less makes no difference. */
async function scheduleVariants(values: unknown): Promise<ReadonlyMap<string, Variant>> {
  if (values !== undefined && valueAt(values, ["schedules"]) === undefined) return new Map();
  const { commonScheduleOptions } = await import("./schedule-options.ts");
  const jobs = Object.entries(jobDefinitions).map(
    ([operation, load]) => [operation, { options: async () => (await load()).options }] as const,
  );
  return variants("operation", jobs, commonScheduleOptions);
}

interface Definition {
  readonly options: () => Promise<unknown>;
  readonly rules?: () => Promise<Rules>;
}

/** The definitions that the members of a section name; all of them if one names none that there is: it is told which there are. */
function named(
  discriminator: string,
  definitions: Readonly<Record<string, Definition>>,
  values: unknown,
  path: ConfigPath,
): readonly (readonly [string, Definition])[] {
  const all = Object.entries(definitions);
  if (values === undefined) return all;
  const section = valueAt(values, path);
  const members = isRecord(section) ? Object.values(section) : [];
  const names = members.map((member) => (isRecord(member) ? member[discriminator] : undefined));
  const found = all.filter(([name]) => names.includes(name));
  return names.every((name) => found.some(([known]) => known === name)) ? found : all;
}

async function variants(
  discriminator: string,
  definitions: readonly (readonly [string, Definition])[],
  common: (type: string) => Readonly<Record<string, z.ZodType>>,
): Promise<ReadonlyMap<string, Variant>> {
  const built = await Promise.all(
    definitions.map(async ([type, definition]) => {
      const options = await definition.options();
      const rules = (await definition.rules?.()) ?? (() => []);
      if (!(options instanceof z.ZodObject)) throw new TypeError(`the options of ${type} are no zod object`);
      const shape: Record<string, z.ZodType> = {};
      for (const [name, schema] of Object.entries(options.shape)) if (schema instanceof z.ZodType) shape[name] = schema;
      const inFile = z
        .strictObject({ [discriminator]: literalOf(type), ...common(type), ...withSecretForms(shape) })
        .superRefine((value, context) => {
          for (const { name, message } of secretChoices(shape, value)) {
            context.addIssue({ code: "custom", message, path: [name] });
          }
        });
      return [type, { type, shape, options, inFile, rules }] as const;
    }),
  );
  return new Map(built);
}

/** A schedule that names no operation is of backups. */
function literalOf(type: string) {
  const literal = z.literal(type);
  return type === DEFAULT_OPERATION ? literal.optional() : literal;
}

function unionOf(discriminator: string, variantsByType: ReadonlyMap<string, Variant>): z.ZodType {
  const [first, ...others] = [...variantsByType.values()].map((variant) => variant.inFile);
  if (first === undefined) return z.never();
  return z.discriminatedUnion(discriminator, [first, ...others]);
}

/** Everything, of adapters no more than their names. */
function frameSchema() {
  return z.strictObject({
    version: z.literal(1).default(1).describe("The version of this file's layout."),
    name: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe("The site's name. Default: the host's name.")
      .meta({ example: "example.org" }),
    timezone: timezoneField.default("UTC").describe("IANA time zone in which days, weeks and months begin."),
    state_dir: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Where the catalog, caches and locks are; BACKUPCTL_STATE_DIR takes precedence. Default: /var/lib/backupctl for root, else $XDG_STATE_HOME/backupctl or ~/.local/state/backupctl.",
      )
      .meta({ path: true, example: "/var/lib/backupctl" }),
    storages: storagesSection(
      z.looseObject({ type: z.string(), role: z.enum(["primary", "replica", "archive"]).optional() }),
    ),
    encryption: encryptionSection(z.looseObject({ provider: z.string() })),
    compression: compressionSection(),
    sources: sourcesSection(
      z.looseObject({ engine: z.string(), component: z.string().optional(), category: z.string().optional() }),
    ),
    create: createSection(),
    chain: chainSection(),
    verify: z
      .strictObject({
        on_create: z
          .union([z.boolean(), z.literal("full")])
          .default(true)
          .describe("true: every block is opened again before it is stored. full: everything is read back as well."),
      })
      .prefault({})
      .describe("Checks made while a backup is created."),
    retention: retentionSection(),
    schedules: schedulesSection(scheduleFrame),
    notifiers: notifiersSection(z.looseObject({ type: z.string() })),
    targets: z
      .record(
        nameField,
        z.strictObject({
          sources: z
            .record(nameField, z.record(z.string(), z.unknown()))
            .describe("For each source, the options that are different there, e.g. `path` or `url`."),
        }),
      )
      .default({})
      .describe("Named places to restore to with `restore --target`."),
    tools: z
      .record(z.string(), z.string().min(1))
      .default({})
      .describe("Paths of external programs, by their name.")
      .meta({ example: { pg_dump: "/usr/lib/postgresql/17/bin/pg_dump" } }),
    restore: z
      .strictObject({
        max_gap: durationField({ zero: true })
          .default("15m")
          .describe(
            "`restore --timestamp` asks before it takes a backup older than the wanted time by more than this.",
          ),
      })
      .prefault({})
      .describe("Rules for restores."),
    orphan_grace: durationField()
      .default("7d")
      .describe(
        "How long what a died run or deletion left in storage is left alone: longer than any run takes. The next full backup removes it then. A host that knows that its own run died clears up at once. Files that you copy into a storage with their old times, packs first, look the same while the copy goes on: make no full backup meanwhile.",
      ),
    workers: z.int().min(1).max(64).optional().describe("Worker threads. Default: one a core.").meta({ example: 2 }),
    tags: z
      .array(z.string().min(1).max(128))
      .default([])
      .describe("Tags that every backup gets.")
      .meta({ example: ["production"] }),
  });
}

function storagesSection<S extends z.ZodType>(storage: S) {
  return z
    .record(nameField, storage)
    .default({})
    .describe("Where backups are kept: a name, and under it the type and its options.");
}

function sourcesSection<E extends z.ZodType>(source: E) {
  return z
    .record(nameField, source)
    .default({})
    .describe("What is backed up: a name, and under it the engine and its options.");
}

function notifiersSection<N extends z.ZodType>(notifier: N) {
  return z
    .record(nameField, notifier)
    .default({})
    .describe("Who can be told of what happens: a name, and under it the type and its options.");
}

function encryptionSection<K extends z.ZodType>(key: K) {
  return z
    .strictObject({
      enabled: z.boolean().default(true).describe("Seal everything with AES-256-GCM."),
      required: z.boolean().default(false).describe("Refuse `create --no-encrypt`."),
      keys: z
        .record(nameField, key)
        .default({})
        .describe("Keys, each of which alone opens every backup made while it is listed."),
    })
    .prefault({})
    .describe("Encryption and its keys.");
}

function compressionSection() {
  return z
    .strictObject({
      algorithm: z.enum(["zstd", "gzip", "none"]).default("zstd").describe("How blocks are compressed."),
      level: z
        .int()
        .min(1)
        .max(19)
        .optional()
        .describe("zstd: 1 to 19, default 1. gzip: 1 to 9, default 6.")
        .meta({ example: 3 }),
    })
    .superRefine(({ algorithm, level }, context) => {
      const message = levelProblem(algorithm, level);
      if (message !== undefined) context.addIssue({ code: "custom", path: ["level"], message });
    })
    .prefault({})
    .describe("Compression of what is stored.");
}

function levelProblem(algorithm: string, level: number | undefined): string | undefined {
  if (level === undefined) return undefined;
  if (algorithm === "none") return "means nothing with algorithm none; leave it out";
  return algorithm === "gzip" && level > 9 ? "must be 1 to 9 for gzip" : undefined;
}

function createSection() {
  return z
    .strictObject({
      require: z
        .array(nameField)
        .default([])
        .describe(
          "Storages in which every backup must be: a create that ends without a complete copy in each of them has failed, wherever else its backup is.",
        )
        .meta({ example: ["offsite"] }),
    })
    .prefault({})
    .describe("Rules for `create`.");
}

function chainSection() {
  return z
    .strictObject({
      max_chain: z
        .int()
        .min(1)
        .max(1000)
        .default(100)
        .describe("An incremental backup becomes a differential one when its lineage would be longer."),
      full_every: durationField()
        .default("7d")
        .describe("An incremental backup becomes a full one when its full is so old."),
    })
    .prefault({})
    .describe("How long backups build on each other.");
}
