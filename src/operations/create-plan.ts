import type { Catalog, CatalogBackup } from "../catalog/catalog.ts";
import type { SourceConfig } from "../config/config.ts";
import type { BackupId, Category } from "../domain/backup.ts";
import { isGood, type KnownBackup } from "../domain/known-backup.ts";
import { chooseParent, type ParentDecision } from "../domain/parent.ts";
import { chooseCategory } from "../domain/retention-class.ts";
import { type Selection, selectSources } from "../domain/selection.ts";
import { BackupctlError, isBackupctlError } from "../errors.ts";
import type { Compression } from "../format/compression.ts";
import type { OperationContext } from "./context.ts";
import { findLineageDefect } from "./lineage-check.ts";
import type { CreatePlan, CreateRequest } from "./operations.ts";
import type { Repository } from "./repository.ts";
import { openEngine, type Session } from "./session.ts";

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
  readonly startedAt: Date;
}

/** Decides everything about a new backup before anything is read. Changes nothing. */
export async function prepareCreate(context: OperationContext, request: CreateRequest): Promise<PreparedCreate> {
  const { session } = context;
  const { config } = session.loaded;
  const selection = selectSources({ ...request, configured: config.sources });
  const encrypt = decideEncryption(session, request);
  const compression = decideCompression(session, request);
  const verify = request.verify ?? config.verify.onCreate;
  const repository = await context.repository();
  const catalog = await context.catalog("read");
  const startedAt = session.clock.now();
  const decision = await decideParent(session, repository, catalog, selection, startedAt);
  const category = decideCategory(session, request, selection.type, decision, catalog, startedAt);
  const storages = decideStorages(session, request);
  const plan = await describe(session, catalog, {
    selection,
    decision,
    category,
    storages,
    encrypt,
    compression,
  });
  return { plan, selection, decision, category, encrypt, compression, verify, storages, startedAt };
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

function decideCompression(session: Session, request: CreateRequest): Compression {
  const { algorithm, level } = session.loaded.config.compression;
  if (request.compress === false) return { algorithm: "none", level: 0 };
  // `--compress` overrides a config without compression: the default then.
  const chosen =
    algorithm === "none" && request.compress === true ? { algorithm: "zstd" as const, level: 3 } : { algorithm, level };
  if (request.compressionLevel === undefined) return chosen;
  const highest = chosen.algorithm === "gzip" ? 9 : 19;
  if (request.compressionLevel < 1 || request.compressionLevel > highest) {
    throw new BackupctlError(
      "USAGE",
      `--compression-level ${request.compressionLevel} is not a level of ${chosen.algorithm}`,
      {
        hint: `Use 1 to ${highest}.`,
      },
    );
  }
  return { algorithm: chosen.algorithm, level: request.compressionLevel };
}

function decideStorages(session: Session, request: CreateRequest): readonly string[] {
  const configured = session.loaded.config.storages.filter(({ role }) => role !== "archive").map(({ name }) => name);
  for (const name of request.storages) {
    if (!session.loaded.config.storages.some((storage) => storage.name === name)) {
      throw new BackupctlError("STORAGE_NOT_FOUND", `no storage is named "${name}"`, {
        hint: `Use one of ${configured.join(", ")}.`,
        exitCode: 2,
      });
    }
  }
  const [primary] = configured;
  if (request.storages.length === 0 || primary === undefined) return configured;
  return [primary, ...request.storages.filter((name) => name !== primary)];
}

/** All backups, oldest decisions included: the choice of a parent looks at whole lineages. */
function allBackups(catalog: Catalog): readonly CatalogBackup[] {
  return catalog.list({}).backups;
}

async function decideParent(
  session: Session,
  repository: Repository,
  catalog: Catalog,
  selection: Selection<SourceConfig>,
  now: Date,
): Promise<ParentDecision> {
  const { chain } = session.loaded.config;
  const defects = new Map<BackupId, string>();
  for (;;) {
    const decision = chooseParent({
      mode: selection.mode,
      type: selection.type,
      sources: selection.sources.map(({ name }) => name),
      backups: allBackups(catalog),
      primary: repository.primary.name,
      hasKey: (backup) => !defects.has(backup.id),
      maxChain: chain.maxChain,
      fullEvery: chain.fullEvery,
      now,
    });
    const found = await findLineageDefect(repository, catalog, decision.lineage);
    if (found === undefined) return withReasons(decision, defects);
    session.logger.warn(`backup ${found.id} can't be built on: ${found.reason}`);
    defects.set(found.id, found.reason);
  }
}

/** What was found in storage is the better reason than what the catalog knew. */
function withReasons(decision: ParentDecision, defects: ReadonlyMap<BackupId, string>): ParentDecision {
  if (defects.size === 0) return decision;
  return {
    ...decision,
    reason: [...defects].map(([id, reason]) => `${id.slice(0, 8)} can't be built on: ${reason}`).join("; "),
  };
}

function decideCategory(
  session: Session,
  request: CreateRequest,
  type: string,
  decision: ParentDecision,
  catalog: Catalog,
  now: Date,
): Category {
  const { config } = session.loaded;
  const fulls = catalog.list({ type, mode: "full" }).backups.filter((backup: KnownBackup) => isGood(backup));
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
  const sources = await Promise.all(selection.sources.map((source) => estimateSource(session, source)));
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

async function estimateSource(session: Session, { name, engine: type, component }: SourceConfig) {
  const described = { name, engine: type, component };
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

/** From the last runs of the same type and mode; `undefined` before the first. */
function estimateSeconds(catalog: Catalog, type: string, mode: string, bytes: number): number | undefined {
  const runs = catalog.recentDurations({ type, mode, operation: "create" }).filter(({ seconds }) => seconds > 0);
  if (runs.length === 0) return undefined;
  const totalBytes = runs.reduce((sum, run) => sum + run.bytes, 0);
  const totalSeconds = runs.reduce((sum, run) => sum + run.seconds, 0);
  return totalBytes === 0 ? totalSeconds / runs.length : (bytes / totalBytes) * totalSeconds;
}
