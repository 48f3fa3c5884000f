import type { Catalog } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { isBackupctlError } from "../../errors.ts";
import { acquireLock } from "../../platform/lock.ts";
import { newUuid } from "../../platform/random.ts";
import type { OperationContext } from "../context.ts";
import type { CreatePlan, CreateRequest, CreateResult } from "../operations.ts";
import { removeOrphans } from "../orphans/remove-orphans.ts";
import { clearDeadRuns } from "../repository/dead-runs.ts";
import type { Repository } from "../repository/repository.ts";
import { completeCopies, requireCopies } from "./complete-copies.ts";
import { CreateRun } from "./create-run.ts";
import { type PreparedCreate, prepareCreate } from "./plan.ts";
import { NoPlaceForAnew } from "./sources.ts";

export async function planCreate(context: OperationContext, request: CreateRequest): Promise<CreatePlan> {
  const { plan, warnings } = await prepareCreate(context, request);
  for (const warning of warnings) context.session.logger.warn(warning);
  return plan;
}

/**
 * Makes one backup. Order of effects: catalog `running` → an object on trial → packs, index and root of each source → that object away from
 * the leading storage → SHA256SUMS → keys → own directory listed → metadata.json, which makes it exist → each replica that has all: the
 * object on trial away, own directory listed, metadata.json → ancestors still there → catalog `completed` → copies that were left behind.
 * Killed before metadata.json, the backup never was: the next run clears what lies there.
 * @throws `BACKUP_IN_PROGRESS`, `BACKUP_FAILED` if no source is sound, and what the leading storage throws
 */
export async function createBackup(context: OperationContext, request: CreateRequest): Promise<CreateResult> {
  const { session } = context;
  const repository = await context.repository();
  const id = newUuid() as BackupId;
  const lock = await acquireLock(
    repository.state.lock,
    { operation: "create", backupId: id },
    { waitMs: request.lockWaitMs, signal: session.signal, clock: session.clock },
  );
  try {
    const catalog = await context.catalog("write");
    await clearDeadRuns(session, repository, catalog);
    const unchanged = request.ifChanged ? await findUnchanged(context, repository, catalog, request) : undefined;
    if (unchanged !== undefined) return await leaveAtThat({ context, repository, catalog, request }, unchanged);
    return await makeOne({ context, repository, catalog, request }, id);
  } finally {
    await lock.release();
  }
}

/** What all tries of one run have in common. */
interface Making {
  readonly context: OperationContext;
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly request: CreateRequest;
}

async function makeOne(making: Making, id: BackupId, warnings: readonly string[] = []): Promise<CreateResult> {
  const { context, repository, catalog, request } = making;
  let makesRoom = false;
  try {
    const prepared = await prepareCreate(context, request);
    makesRoom = prepared.decision.mode === "full";
    rememberDamage(making, prepared);
    request.onPlan?.(prepared.plan);
    const told = { ...prepared, warnings: [...warnings, ...prepared.warnings] };
    return await new CreateRun(context, repository, catalog, request, told, id).run();
  } catch (error) {
    if (error instanceof NoPlaceForAnew) {
      const full: CreateRequest = { ...request, mode: "full", type: typeOnly(request) };
      return await makeOne({ ...making, request: full }, newUuid() as BackupId, [error.message]);
    }
    makesRoom ||= isBackupctlError(error, "INSUFFICIENT_STORAGE");
    throw error;
  } finally {
    // It lists whole storages, which takes a second for every few thousand backups: too long for each small one. After the
    // backup, which no other storage is to hold up; after one that failed as well, which may have been for want of room.
    if (makesRoom) await removeOrphans(context.session, repository, catalog);
  }
}

/** What others build on it later, or restore, goes by what was seen now. */
function rememberDamage(
  { context: { session }, catalog }: Making,
  { lead: { storage, defects } }: PreparedCreate,
): void {
  const at = session.clock.now().toISOString();
  for (const { id, damaged } of defects)
    if (damaged) catalog.setCopy({ backupId: id, storage: storage.name, state: "damaged", at });
}

/** No backup is made; what a storage lacks of the last one is brought to it, as after a run. @throws `BACKUP_FAILED` as a run */
async function leaveAtThat({ context, catalog, request }: Making, last: BackupId): Promise<CreateResult> {
  const { session } = context;
  const { plan, storages: names, warnings: doubts } = await prepareCreate(context, request);
  const warnings: string[] = [];
  const warn = (message: string): void => {
    warnings.push(message);
    session.logger.warn(message);
  };
  for (const doubt of doubts) warn(doubt);
  const there = catalog.get(last)?.copies.filter(({ state }) => state !== "pending") ?? [];
  const pending = names.filter((name) => !there.some(({ storage }) => storage === name));
  for (const name of pending) warn(`storage "${name}" lacks the last backup, ${last}: completing its copy now`);
  const storages = await completeCopies({
    context,
    catalog,
    backupId: last,
    storages: names,
    behind: pending,
    warnings,
    warn,
    onProgress: request.onProgress,
  });
  requireCopies(session.loaded.config.create.require, last, storages);
  return { created: false, backup: undefined, plan, sources: [], storages, warnings };
}

/** The newest backup, where all sources are as it has them: compared as an incremental would, and nothing is stored. */
async function findUnchanged(
  context: OperationContext,
  repository: Repository,
  catalog: Catalog,
  request: CreateRequest,
): Promise<BackupId | undefined> {
  const incremental: CreateRequest = { ...request, mode: "incremental", type: typeOnly(request) };
  // Chains are limited for what is stored: one that is full, or old, is still what to compare with.
  const unlimited = { maxChain: Number.POSITIVE_INFINITY, fullEvery: "forever" } as const;
  const prepared = await prepareCreate(context, incremental, unlimited);
  const { parent } = prepared.decision;
  if (parent === undefined) return undefined;
  const probe = new CreateRun(context, repository, catalog, request, prepared, newUuid() as BackupId);
  return (await probe.findsNothingNew()) ? parent.id : undefined;
}

/** `--type incremental` is a mode: what is compared is everything then. */
function typeOnly(request: CreateRequest): string | undefined {
  return request.type === "incremental" || request.type === "differential" ? "full" : request.type;
}
