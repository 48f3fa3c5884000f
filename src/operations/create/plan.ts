import type { Catalog } from "../../catalog/catalog.ts";
import type { SourceConfig } from "../../config/config.ts";
import type { Category } from "../../domain/backup.ts";
import { type KnownBackup, wholeSourcesOf } from "../../domain/known-backup.ts";
import type { ParentDecision } from "../../domain/parent.ts";
import { chooseCategory } from "../../domain/retention-class.ts";
import { type Selection, selectSources } from "../../domain/selection.ts";
import { bytesPerSecond } from "../../domain/throughput.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Compression } from "../../format/compression.ts";
import type { OperationContext } from "../context.ts";
import type { CreatePlan, CreateRequest } from "../operations.ts";
import { dueTimeOf } from "../schedules/history.ts";
import { namesWithoutArchives, openEngine, type Session } from "../session.ts";
import { chooseLead, type Lead, passedOverWarnings } from "./lead.ts";
import { type ChainLimits, decideParent } from "./parent.ts";
import { requireRoom } from "./room.ts";

const USUAL_BYTES_PER_SECOND = 50e6;

/** A plan with all that carrying it out needs. */
export interface PreparedCreate {
  readonly plan: CreatePlan;
  readonly selection: Selection<SourceConfig>;
  readonly decision: ParentDecision;
  readonly category: Category;
  readonly encrypt: boolean;
  readonly compression: Compression;
  readonly verify: boolean | "full";
  /** The primary first. */
  readonly storages: readonly string[];
  readonly lead: Lead;
  /** To be said before anything is read. */
  readonly warnings: readonly string[];
  readonly startedAt: Date;
}

/** Decides everything about a new backup before anything is read. Changes nothing. */
export async function prepareCreate(
  context: OperationContext,
  request: CreateRequest,
  unlimited?: ChainLimits,
): Promise<PreparedCreate> {
  const { session } = context;
  const { config } = session.loaded;
  const selection = selectSources({
    ...request,
    configured: config.sources,
    takesTables: ({ engine }) => session.adapters.engines[engine]?.takesTables === true,
  });
  const encrypt = decideEncryption(session, request);
  const compression = decideCompression(session, request);
  const verify = request.verify ?? config.verify.onCreate;
  const repository = await context.repository();
  const catalog = await context.catalog("read");
  const chain = unlimited ?? chainLimits(session, catalog, request);
  const startedAt = session.clock.now();
  const storages = decideStorages(session, request);
  const lead = await chooseLead({
    repository,
    names: storages,
    mode: selection.mode,
    look: async (storage) => {
      const wanted = { selection, chain, now: startedAt };
      const { decision, defects, warnings } = await decideParent({ repository, catalog, storage }, wanted);
      const doubt = await requireRoom({ catalog, selection, decision }, storage);
      return { decision, defects, warnings: [...warnings, ...(doubt === undefined ? [] : [doubt])] };
    },
  });
  const { decision } = lead;
  const category = decideCategory(session, request, selection, decision, catalog, startedAt);
  const plan = await describe(session, catalog, {
    selection,
    decision,
    category,
    storages: [
      lead.storage.name,
      ...storages.filter((name) => name !== lead.storage.name && !lead.passedOver.has(name)),
    ],
    encrypt,
    compression,
  });
  const warnings = [...passedOverWarnings(lead, repository.primaryName), ...lead.warnings];
  return { plan, selection, decision, category, encrypt, compression, verify, storages, lead, warnings, startedAt };
}

function chainLimits({ loaded }: Session, { schedules }: Catalog, { fullEvery, run }: CreateRequest): ChainLimits {
  const { chain } = loaded.config;
  return {
    ...{ ...chain, fullEvery: fullEvery ?? chain.fullEvery },
    run: run && {
      at: new Date(run.scheduledFor),
      next: new Date(run.next),
      dueTimeOf: (backup) => dueTimeOf(schedules, run.schedule, backup),
    },
  };
}

function decideEncryption(session: Session, request: CreateRequest): boolean {
  const { encryption } = session.loaded.config;
  const encrypt = request.encrypt ?? encryption.enabled;
  if (!encrypt && encryption.required) {
    throw new BackupctlError("USAGE", "the config demands encryption, so --no-encrypt is refused", {
      hint: "Leave out --no-encrypt, or set encryption.required to false.",
    });
  }
  if (encrypt && encryption.keys.length === 0) {
    throw new BackupctlError("ENCRYPTION_KEY_NOT_FOUND", "encryption is on, but no key is configured", {
      hint: "Add a key under encryption.keys (backupctl init makes one), or give --no-encrypt.",
    });
  }
  return encrypt;
}

/** `--compress` or a level overrides a configuration without compression: with the default then. */
function decideCompression(session: Session, { compress, compressionLevel: level }: CreateRequest): Compression {
  const configured = session.loaded.config.compression;
  if (compress === false && level !== undefined) {
    throw new BackupctlError("USAGE", "--compression-level and --no-compress contradict each other", {
      hint: "Leave one of them out.",
    });
  }
  if (compress === false) return { algorithm: "none", level: 0 };
  const asked = compress === true || level !== undefined;
  const chosen = configured.algorithm === "none" && asked ? { algorithm: "zstd" as const, level: 3 } : configured;
  if (chosen.algorithm === "gzip" && level !== undefined && level > 9) {
    throw new BackupctlError("USAGE", `--compression-level "${level}" is more than gzip has`, {
      hint: "gzip has levels 1 to 9; zstd (compression.algorithm in the config) has 1 to 19.",
    });
  }
  return { ...chosen, level: level ?? chosen.level };
}

function decideStorages(session: Session, request: CreateRequest): readonly string[] {
  const { storages, create } = session.loaded.config;
  const configured = namesWithoutArchives(session);
  for (const name of request.storages) {
    if (configured.includes(name)) continue;
    if (storages.some((storage) => storage.name === name)) {
      throw new BackupctlError("USAGE", `storage "${name}" is an archive, which create does not write to`, {
        hint: `Copy to it afterwards: \`backupctl replicate latest --to ${name}\`.`,
      });
    }
    throw new BackupctlError("STORAGE_NOT_FOUND", `no storage is named "${name}"`, {
      hint: `Use one of ${configured.join(", ")}.`,
      exitCode: 2,
    });
  }
  const [primary] = configured;
  if (request.storages.length === 0 || primary === undefined) return configured;
  const chosen = [primary, ...request.storages.filter((name) => name !== primary)];
  const left = create.require.find((name) => !chosen.includes(name));
  if (left === undefined) return chosen;
  throw new BackupctlError("USAGE", `--storage leaves out "${left}", which create.require demands`, {
    hint: `Add it: --storage ${[...request.storages, left].join(",")}.`,
  });
}

function decideCategory(
  session: Session,
  request: CreateRequest,
  { type, sources }: Selection<SourceConfig>,
  decision: ParentDecision,
  catalog: Catalog,
  now: Date,
): Category {
  const { config } = session.loaded;
  // One that lacks a source, because it failed or was left out, does not stand for a month of this one.
  const holdsAll = (backup: KnownBackup): boolean => sources.every(({ name }) => wholeSourcesOf(backup).includes(name));
  // Only a full one's class is a matter of those before it, whose metadata take long to read where there are thousands.
  const fulls = decision.mode === "full" ? catalog.list({ type, mode: "full" }).backups.filter(holdsAll) : [];
  return chooseCategory({
    manual: request.manual,
    explicitClass: request.retentionClass,
    type,
    mode: decision.mode,
    now,
    timezone: config.timezone,
    configuredClasses: config.retention.yearly === undefined ? [] : ["yearly"],
    completedFulls: fulls.map(({ timestamp }) => timestamp),
  });
}

interface Decided {
  readonly selection: Selection<SourceConfig>;
  readonly decision: ParentDecision;
  readonly category: Category;
  readonly storages: readonly string[];
  readonly encrypt: boolean;
  readonly compression: Compression;
}

async function describe(session: Session, catalog: Catalog, decided: Decided): Promise<CreatePlan> {
  const { selection, decision, compression } = decided;
  const sources = await Promise.all(selection.sources.map((source) => estimateSource(session, catalog, source)));
  const estimatedBytes = sources.reduce((sum, { estimatedBytes: bytes }) => sum + bytes, 0);
  return {
    type: selection.type,
    mode: decision.mode,
    requestedMode: selection.mode,
    modeReason: decision.reason,
    category: decided.category,
    parentId: decision.parent?.id,
    sources: sources.map(({ uncertain: _, ...source }) => source),
    storages: decided.storages,
    encrypted: decided.encrypt,
    compression: compression.algorithm === "none" ? "none" : `${compression.algorithm} ${compression.level}`,
    estimatedBytes,
    uncertain: sources.some(({ uncertain }) => uncertain),
    estimatedSeconds: estimateSeconds(catalog, selection.type, decision.mode, estimatedBytes),
  };
}

/** What it was the last time is as good an estimate as a look at the source, which takes a tree's walk or a server's answer. */
async function estimateSource(session: Session, catalog: Catalog, { name, engine: type, component }: SourceConfig) {
  const described = { name, engine: type, component };
  const lastSize = sizeOfLast(catalog, name);
  if (lastSize !== undefined) return { ...described, estimatedBytes: lastSize, uncertain: true };
  try {
    const engine = await openEngine(session, name);
    const estimate = await engine.estimate({
      sourceName: name,
      signal: session.signal,
      warn: () => undefined,
      activity: () => undefined,
      temporaryDirectory: "",
    });
    return { ...described, estimatedBytes: estimate.sizeBytes, uncertain: estimate.uncertain === true };
  } catch (error) {
    // A source that can't even be estimated fails when it is read, and is reported then.
    if (!isBackupctlError(error)) throw error;
    return { ...described, estimatedBytes: 0, uncertain: true };
  }
}

function sizeOfLast(catalog: Catalog, source: string): number | undefined {
  const [last] = catalog.list({ source, status: ["completed", "completed_with_errors"], limit: 1 }).backups;
  return last?.metadata?.sources.find(({ name }) => name === source)?.size;
}

/** By the last runs of the same type and mode; no run ends within a second. */
function estimateSeconds(catalog: Catalog, type: string, mode: string, bytes: number): number {
  const runs = catalog.recentDurations({ type, mode, operation: "create" });
  return Math.max(1, bytes / bytesPerSecond(runs, USUAL_BYTES_PER_SECOND));
}
