import { count } from "../../domain/count.ts";
import type { EngineContext, RestoreOutcome } from "../../engines/engine.ts";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import { acquireLock, type Lock, readHolder } from "../../platform/lock.ts";
import type { Logger } from "../../platform/logger.ts";
import { newUuid } from "../../platform/random.ts";
import type { OperationContext } from "../context.ts";
import { requireThawed } from "../copies/frozen.ts";
import type { RestorePlan, RestoreRequest, RestoreResult } from "../operations.ts";
import { type ProgressMeter, startProgress } from "../progress-meter.ts";
import { asCorrupted } from "../repository/backup-contents.ts";
import { checkSource, type FoundDamage } from "./check.ts";
import { asRestoreFailure } from "./failure.ts";
import { refuseLink, type StreamPlace, type TreePlace } from "./place.ts";
import { type PreparedRestore, type PreparedSource, prepareAgain } from "./plan.ts";
import { openRestoreRecord, type RestoreRecord } from "./record.ts";
import { restoreStream } from "./stream.ts";
import { restoreTree, stageRestore, type TreeRestore } from "./tree.ts";

type SourceResult = RestoreResult["sources"][number];

/**
 * Applies a plan. Order of effects: the plan is made again under the lock and must say the same → every needed block is opened and every
 * wanted chunk hashed, before any target is touched; where a tree goes to a private folder first, while it is written there → source by
 * source, each old or new at any moment.
 * Consent (a yes, a gap that is too big) is the caller's to ask for.
 * @throws the first refusal of the plan; `OBJECT_COLD` when what has to be thawed was asked for; `RESTORE_IN_PROGRESS`, `BACKUP_IN_PROGRESS`; `BACKUP_CORRUPTED` with nothing touched; the
 *   source's own error if it was the only one, `RESTORE_FAILED` if all failed
 */
export async function restoreBackup(
  context: OperationContext,
  request: RestoreRequest,
  plan: RestorePlan,
): Promise<RestoreResult> {
  const { session } = context;
  requireNoRefusal(plan);
  const { state } = await context.repository();
  const facts = { operation: "restore", backupId: plan.backup.id };
  const { signal, clock } = session;
  const lock = await lockIfPossible(state.lock, session.logger, () =>
    acquireLock(state.lock, facts, { waitMs: request.lockWaitMs, signal, clock }),
  );
  try {
    const prepared = await prepareAgain(context, request, plan);
    try {
      requireNoRefusal(prepared.plan);
      requireSamePlan(plan, prepared.plan);
      await requireThawed(prepared.frozen, plan.backup.id, context);
      return await new RestoreRun(context, request, prepared, state.progress).run();
    } finally {
      await prepared.close();
    }
  } finally {
    await lock?.release();
  }
}

/** A state directory in which nothing can be written must not stand in the way of a restore. Nobody else has a lock there, either. */
async function lockIfPossible(file: string, logger: Logger, lock: () => Promise<Lock>): Promise<Lock | undefined> {
  try {
    return await lock();
  } catch (error) {
    if (!isBackupctlError(error, "CATALOG_FAILED") && !isBackupctlError(error, "INSUFFICIENT_STORAGE")) throw error;
    const held = await readHolder(file).catch(() => undefined);
    if (held?.alive === true) throw error;
    logger.warn(`${error.message}; the restore goes on without a lock, so start no other command meanwhile`);
    return undefined;
  }
}

function requireNoRefusal({ refusals }: RestorePlan): void {
  const [refusal] = refusals;
  if (refusal === undefined) return;
  throw new BackupctlError(refusal.code, refusal.message, {
    hint: refusal.hint,
    data: { refusals: refusals.map(({ message }) => message) },
  });
}

/** What was agreed to is what is done: a target that came to be, or more to delete, needs another yes. */
function requireSamePlan(agreed: RestorePlan, now: RestorePlan): void {
  const changed = now.sources.find((source) => {
    const before = agreed.sources.find(({ name }) => name === source.name);
    if (before === undefined || before.place !== source.place || source.deletes > before.deletes) return true;
    return before.overwrites.length === 0 && source.overwrites.length > 0;
  });
  if (changed === undefined) return;
  throw new BackupctlError("RESTORE_FAILED", `the target of source "${changed.name}" changed since the plan was made`, {
    hint: "Nothing was touched. Look at the new plan with --dry-run, then restore again.",
  });
}

/** What a source still needs to be restored when all that is needed was found sound. */
interface Begun {
  readonly source: PreparedSource;
  /** Calls `coming` before its first effect on the target; what that returns where there was none after all. */
  finish(coming: () => () => void): Promise<RestoreOutcome>;
  /** Leaves nothing of it that is not at its place. */
  discard(): Promise<void>;
}

class RestoreRun {
  readonly #context: OperationContext;
  readonly #request: RestoreRequest;
  readonly #prepared: PreparedRestore;
  readonly #meter: ProgressMeter;
  readonly #restoreId = newUuid();
  readonly #warnings: string[];

  constructor(context: OperationContext, request: RestoreRequest, prepared: PreparedRestore, progressFile: string) {
    this.#context = context;
    this.#request = request;
    this.#prepared = prepared;
    this.#warnings = [...prepared.plan.warnings];
    this.#meter = startProgress({
      phases: this.#checkedFirst().length > 0 ? ["verify", "restore"] : ["restore"],
      backupId: prepared.plan.backup.id,
      operation: "restore",
      file: progressFile,
      clock: context.session.clock,
      onProgress: request.onProgress,
    });
  }

  async run(): Promise<RestoreResult> {
    const { session } = this.#context;
    const { plan } = this.#prepared;
    const startedMs = session.clock.monotonicMs();
    const record = await openRestoreRecord(this.#context, this.#request, plan, this.#restoreId);
    try {
      const damage = await this.#verify();
      const sources = await this.#restoreAll(damage, record);
      const done = sources.filter(({ status }) => status === "completed").map(({ name }) => name);
      const wanted = bytesOf(this.#prepared.sources.filter((source) => done.includes(source.plan.name)));
      const bytes = done.reduce((rest, name) => rest - (damage.get(name)?.bytes ?? 0), wanted);
      const seconds = (session.clock.monotonicMs() - startedMs) / 1_000;
      record.end(done.length === sources.length ? "completed" : "failed", bytes, seconds);
      const { id: backupId } = plan.backup;
      return { restoreId: this.#restoreId, backupId, seconds, bytes, sources, warnings: this.#warnings };
    } catch (error) {
      record.end("failed", 0, (session.clock.monotonicMs() - startedMs) / 1_000);
      throw error;
    } finally {
      await this.#meter.finish();
    }
  }

  /** Writing a private folder is a check as well; damaged entries must be known before it begins, so as to be left out. */
  #checkedFirst(): readonly PreparedSource[] {
    const { sources } = this.#prepared;
    return this.#request.skipDamaged ? sources : sources.filter((source) => !isStaged(source));
  }

  async #verify(): Promise<ReadonlyMap<string, FoundDamage>> {
    const { contents } = this.#prepared;
    const found = new Map<string, FoundDamage>();
    const sources = this.#checkedFirst();
    if (sources.length > 0) this.#meter.phase("verify", { bytes: bytesOf(sources) });
    for (const { opened, chosen } of sources) {
      const { name } = opened.source;
      this.#meter.activity(name);
      const onChecked = (bytes: number, files: number) => this.#meter.add(bytes, files);
      const damage = await checkSource({ contents, opened, chosen, onChecked, signal: this.#context.session.signal });
      if (damage === undefined) continue;
      if (!this.#request.skipDamaged) throw asCorrupted(damage.cause, contents, name);
      found.set(name, damage);
    }
    return found;
  }

  async #restoreAll(damage: ReadonlyMap<string, FoundDamage>, record: RestoreRecord): Promise<readonly SourceResult[]> {
    const { sources, damaged, plan } = this.#prepared;
    this.#meter.phase("restore", { bytes: plan.bytesToRestore, files: entriesOfTrees(sources) });
    const results: SourceResult[] = damaged.map(({ source, error }) => skipped(source.name, error));
    const failures: unknown[] = [];
    const begun: Begun[] = [];
    try {
      for (const source of sources) begun.push(await this.#begin(source, damage.get(source.plan.name)));
      for (const next of begun)
        results.push(await this.#finish(next, damage.get(next.source.plan.name), record, failures));
    } finally {
      // The first may have made a folder that the others lie in.
      for (const { source, discard } of begun.toReversed())
        await discard().catch((error: unknown) => this.#sayLeft(source, error));
    }
    if (!results.some(({ status }) => status === "completed")) throw nothingRestored(results, failures);
    return results;
  }

  /** Neither the others nor the error that ended the restore are passed over for it. */
  #sayLeft({ plan }: PreparedSource, error: unknown): void {
    const what = `what was made for source "${plan.name}" beside ${plan.place} could not be removed`;
    this.#context.session.logger.warn(`${what}: ${messageOf(error)}`);
  }

  /** Does what can be done without touching a target. @throws `BACKUP_CORRUPTED` for damage that nobody knew of: no target is touched */
  async #begin(source: PreparedSource, damage: FoundDamage | undefined): Promise<Begun> {
    const discard = (): Promise<void> => Promise.resolve();
    const { place } = source;
    if (place.shape === "stream")
      return { source, finish: (coming) => this.#restoreStream(source, place, coming), discard };
    const job = this.#treeJob(source, place, damage?.entries ?? new Set());
    if (!place.staged) {
      const finish: Begun["finish"] = (coming) => {
        coming();
        return restoreTree(job);
      };
      return { source, finish, discard };
    }
    try {
      const staged = await stageRestore(job);
      const finish: Begun["finish"] = async (coming) => {
        coming();
        await staged.commit();
        return staged.outcome;
      };
      return { source, finish, discard: staged.discard };
    } catch (caught) {
      const error = asCorrupted(caught, this.#prepared.contents, source.plan.name);
      if (isBackupctlError(error, "BACKUP_CORRUPTED") && !this.#request.skipDamaged) throw error;
      this.#context.session.signal.throwIfAborted();
      return { source, finish: () => Promise.reject(error), discard };
    }
  }

  async #finish(
    { source, finish }: Begun,
    damage: FoundDamage | undefined,
    record: RestoreRecord,
    failures: unknown[],
  ): Promise<SourceResult> {
    const { name, place } = source.plan;
    const { contents } = this.#prepared;
    if (damage !== undefined && source.place.shape === "stream")
      return skipped(name, asCorrupted(damage.cause, contents, name));
    try {
      const outcome = await finish(() => {
        record.reach(name, "coming");
        return () => record.reach(name, "beside");
      });
      this.#warnings.push(...outcome.warnings);
      const leftOut = damage?.entries.size ?? 0;
      if (leftOut === 0) record.reach(name, "come");
      else this.#warnings.push(`left out of source "${name}": ${count(leftOut, "damaged entry", "damaged entries")}`);
      return { name, place, status: "completed", checks: outcome.checks, error: undefined };
    } catch (caught) {
      this.#context.session.signal.throwIfAborted();
      const error = asRestoreFailure(asCorrupted(caught, contents, name), source);
      failures.push(error);
      return failed(source, error);
    }
  }

  async #restoreStream(
    { opened }: PreparedSource,
    place: StreamPlace,
    coming: () => () => void,
  ): Promise<RestoreOutcome> {
    // Others were restored meanwhile, which may take long.
    const refusal = await refuseLink(place.ownFolder, opened.source);
    if (refusal !== undefined) throw new BackupctlError(refusal.code, refusal.message, { hint: refusal.hint });
    const { contents } = this.#prepared;
    const { overwrite, dropExisting } = this.#request;
    const engineContext = this.#engineContext(opened.source.name);
    const onBytes = (bytes: number): void => this.#meter.add(bytes, 0);
    return restoreStream({ contents, opened, place, overwrite, dropExisting, engineContext, onBytes, coming });
  }

  #treeJob(source: PreparedSource, place: TreePlace, damaged: ReadonlySet<string>): TreeRestore {
    const { opened, chosen } = source;
    const { overwrite, delete: remove } = this.#request;
    return {
      contents: this.#prepared.contents,
      opened,
      chosen,
      place,
      overwrite,
      delete: remove,
      damaged,
      signal: this.#context.session.signal,
      onWritten: (bytes, files) => this.#meter.add(bytes, files),
      activity: (item) => this.#meter.activity(item),
      sayLeft: (error) => this.#sayLeft(source, error),
    };
  }

  #engineContext(sourceName: string): EngineContext {
    return {
      sourceName,
      signal: this.#context.session.signal,
      warn: (message) => void this.#warnings.push(message),
      activity: (item) => this.#meter.activity(item),
      temporaryDirectory: this.#prepared.contents.temporaryDirectory,
    };
  }
}

function isStaged({ place }: PreparedSource): boolean {
  return place.shape === "tree" && place.staged;
}

function bytesOf(sources: readonly PreparedSource[]): number {
  return sources.reduce((sum, { plan }) => sum + plan.bytes, 0);
}

/** Each is made; the parts of a stream are only names for some of its bytes. */
function entriesOfTrees(sources: readonly PreparedSource[]): number {
  return sources.filter(({ place }) => place.shape === "tree").reduce((sum, { plan }) => sum + plan.entries, 0);
}

function skipped(name: string, error: unknown): SourceResult {
  return { name, place: "", status: "skipped", checks: [], error: shownError(error) };
}

function failed(source: PreparedSource, error: unknown): SourceResult {
  return { name: source.plan.name, place: source.plan.place, status: "failed", checks: [], error: shownError(error) };
}

function shownError(error: unknown): SourceResult["error"] {
  if (!isBackupctlError(error)) throw error;
  const { code, message, hint } = error;
  return hint === undefined ? { code, message } : { code, message, hint };
}

/** One source's own error says most; several are listed. */
function nothingRestored(results: readonly SourceResult[], failures: readonly unknown[]): unknown {
  const [only, ...others] = failures;
  if (only !== undefined && others.length === 0 && results.length === 1) return only;
  const errors = results.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error.message}`]));
  const isDamage = failures.length === 0;
  const code = isDamage ? "BACKUP_CORRUPTED" : "RESTORE_FAILED";
  return new BackupctlError(code, `no source was restored: ${errors.join("; ")}`, {
    hint: `Restore another backup${isDamage ? "" : ", or one source at a time with --source"}: \`backupctl list\`.`,
    cause: only,
    data: {
      sources: results.map(({ name, status, error }) => ({ name, status, message: messageOf(error?.message ?? "") })),
    },
  });
}
