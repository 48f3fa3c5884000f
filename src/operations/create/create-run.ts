import * as path from "node:path";
import type { Catalog, RecordedRestore } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, BackupStatus } from "../../domain/backup.ts";
import { backupDirectory } from "../../domain/object-names.ts";
import { isTold, withoutName } from "../../domain/storage-messages.ts";
import { unfinishedWarning } from "../../domain/unfinished-restore.ts";
import { isBackupctlError, messageOf } from "../../errors.ts";
import { artifactKey, makeDataKey } from "../../format/data-key.ts";
import type { RunSettings } from "../../format/source-writer.ts";
import { WorkerPool } from "../../format/workers/pool.ts";
import { makePrivateDirectory } from "../../platform/files.ts";
import { createTemporaryDirectory } from "../../platform/temporary-directory.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import type { OperationContext } from "../context.ts";
import type { CreateRequest, CreateResult } from "../operations.ts";
import { startProgress } from "../progress-meter.ts";
import { summaryOf } from "../repository/backup-summary.ts";
import { clearLeavings } from "../repository/dead-runs.ts";
import { indexDirectory, pruneIndexes } from "../repository/index-cache.ts";
import { lookAtUnreadable } from "../repository/look-again.ts";
import { refreshRecovery } from "../repository/recovery-files.ts";
import type { Repository } from "../repository/repository.ts";
import { passedOverWarning } from "../repository/unreadable-backups.ts";
import { asStateFailure } from "../state-failure.ts";
import { BackupObjects } from "./backup-objects.ts";
import { commitBackup } from "./commit.ts";
import { completeCopies, isFull, requireCopies } from "./complete-copies.ts";
import { MOST_BEHIND } from "./copy-in-progress.ts";
import { earlierKeyWarning } from "./earlier-key.ts";
import { openCopies } from "./open-copies.ts";
import type { PreparedCreate } from "./plan.ts";
import { readBack } from "./read-back.ts";
import { allFailed, asRunFailure } from "./run-failure.ts";
import { createSource, type SourceOutcome } from "./sources.ts";
import { tryStorages } from "./trial.ts";

/** One run, the lock held. Order of effects: see `createBackup`. */
export class CreateRun {
  readonly #context: OperationContext;
  readonly #repository: Repository;
  readonly #catalog: Catalog;
  readonly #request: CreateRequest;
  readonly #prepared: PreparedCreate;
  readonly #id: BackupId;
  readonly #directory: string;
  readonly #warnings: string[] = [];
  /** With the lock held none is running. */
  readonly #unfinished: readonly RecordedRestore[];

  constructor(
    context: OperationContext,
    repository: Repository,
    catalog: Catalog,
    request: CreateRequest,
    prepared: PreparedCreate,
    id: BackupId,
  ) {
    this.#context = context;
    this.#repository = repository;
    this.#catalog = catalog;
    this.#request = request;
    this.#prepared = prepared;
    this.#id = id;
    this.#unfinished = catalog.unfinishedRestores();
    const { startedAt, selection, decision, category } = prepared;
    const timestamp = startedAt.toISOString();
    this.#directory = backupDirectory({ type: selection.type, category, mode: decision.mode, timestamp, id });
  }

  async run(): Promise<CreateResult> {
    const { session } = this.#context;
    const { lead, warnings } = this.#prepared;
    for (const warning of warnings) this.#warn(warning);
    const keyWarning = await earlierKeyWarning(this.#repository, this.#catalog, lead.storage);
    if (keyWarning !== undefined) this.#warn(keyWarning);
    for (const restore of this.#unfinished) this.#warn(unfinishedWarning(restore));
    for (const backup of await lookAtUnreadable(session, this.#repository, this.#catalog))
      this.#warn(passedOverWarning(backup));
    const warn = (message: string): void => this.#warn(message);
    const { storages, absent } = await openCopies({
      repository: this.#repository,
      catalog: this.#catalog,
      prepared: this.#prepared,
      warn,
    });
    const objects = new BackupObjects(this.#directory, storages, { warn, signal: session.signal });
    this.#begin();
    try {
      await tryStorages(objects, { startedAt: this.#prepared.startedAt, clock: session.clock }, warn);
      const { outcomes, dataKey } = await this.#writeSources(objects, (...object) => objects.put(...object));
      const metadata = await this.#commit(objects, outcomes, dataKey);
      return await this.#finish(objects, outcomes, { metadata, absent });
    } catch (error) {
      const failure = asRunFailure(asStateFailure(error, session.loaded.config.stateDir), session.signal);
      await this.#withdraw(objects, failure);
      throw failure;
    }
  }

  async findsNothingNew(): Promise<boolean> {
    const { signal } = this.#context.session;
    const nowhere = new BackupObjects(this.#directory, [this.#prepared.lead.storage], {
      warn: () => undefined,
      signal,
    });
    try {
      const { outcomes } = await this.#writeSources(nowhere, async () => undefined);
      return outcomes.every(({ artifacts }) => artifacts?.sameAsParent === true);
    } finally {
      await removeTree(indexDirectory(this.#repository, this.#id));
    }
  }

  #begin(): void {
    const { session } = this.#context;
    const { selection, decision, category, startedAt } = this.#prepared;
    this.#catalog.bindRepository(this.#repository.id);
    this.#catalog.begin({
      id: this.#id,
      type: selection.type,
      mode: decision.mode,
      category,
      timestamp: startedAt.toISOString(),
      host: session.host,
      createdBy: session.user,
      storagePath: this.#directory,
      parentId: decision.parent?.id,
      pid: process.pid,
      tags: this.#tags(),
      description: this.#request.description,
    });
  }

  #tags(): readonly string[] {
    return [...new Set([...this.#context.session.loaded.config.tags, ...this.#request.tags])];
  }

  async #writeSources(objects: BackupObjects, put: RunSettings["put"]) {
    const { session } = this.#context;
    const prepared = this.#prepared;
    // Without encryption a data key still proves the metadata, where a key is configured.
    const dataKey = this.#repository.keys.length > 0 ? makeDataKey() : undefined;
    const temporary = await createTemporaryDirectory(this.#repository.state.temporary);
    const pool = new WorkerPool(session.loaded.config.workers);
    const cacheDirectory = indexDirectory(this.#repository, this.#id);
    await makePrivateDirectory(cacheDirectory);
    const { sources } = prepared.selection;
    const progress = startProgress({
      phases: phasesOf(sources),
      backupId: this.#id,
      operation: "create",
      file: this.#repository.state.progress,
      clock: session.clock,
      onProgress: this.#request.onProgress,
    });
    // What a source really was takes the place of its estimate when it is done: a dump is rarely as large as its database.
    const estimates = prepared.plan.sources.map(({ estimatedBytes }) => estimatedBytes);
    const toCome = (from: number): number => estimates.slice(from).reduce((sum, bytes) => sum + bytes, 0);
    progress.total({ bytes: toCome(0), rough: prepared.plan.uncertain });
    try {
      const run: RunSettings = {
        pool,
        backupId: this.#id,
        compression: prepared.compression,
        keyOf:
          prepared.encrypt && dataKey !== undefined
            ? (artifactId) => artifactKey(dataKey, Buffer.from(artifactId), this.#id)
            : undefined,
        check: prepared.verify !== false,
        lineage: [...prepared.decision.lineage, { id: this.#id, path: this.#directory }],
        put,
        packsHeld: objects.storages.length > 1 ? MOST_BEHIND : 0,
        temporaryDirectory: temporary.path,
      };
      const outcomes: SourceOutcome[] = [];
      for (const source of sources) {
        session.signal.throwIfAborted();
        progress.phase(`${source.name}_backup`);
        const outcome = await createSource(
          {
            session,
            repository: this.#repository,
            catalog: this.#catalog,
            prepared,
            run,
            objects,
            progress,
            indexDirectory: cacheDirectory,
            tables: this.#request.tables,
            warn: (message) => this.#warn(message),
          },
          source,
        );
        outcomes.push(outcome);
        progress.correct(toCome(outcomes.length));
      }
      progress.phase("commit");
      return { outcomes, dataKey };
    } finally {
      await progress.finish();
      await pool.close();
      await temporary.dispose();
    }
  }

  async #commit(
    objects: BackupObjects,
    outcomes: readonly SourceOutcome[],
    dataKey: Buffer | undefined,
  ): Promise<BackupMetadata> {
    const { session } = this.#context;
    if (outcomes.every(({ artifacts }) => artifacts === undefined)) throw allFailed(outcomes);
    return commitBackup({
      session,
      repository: this.#repository,
      catalog: this.#catalog,
      prepared: this.#prepared,
      id: this.#id,
      directory: this.#directory,
      objects,
      outcomes,
      dataKey,
      status: statusOf(outcomes),
      tags: this.#tags(),
      description: this.#request.description,
      retentionDays: this.#request.retentionDays,
      warnings: this.#warnings,
      unfinished: this.#unfinished,
    });
  }

  async #finish(
    objects: BackupObjects,
    outcomes: readonly SourceOutcome[],
    { metadata, absent }: { readonly metadata: BackupMetadata; readonly absent: readonly string[] },
  ): Promise<CreateResult> {
    await pruneIndexes(this.#repository, this.#catalog);
    const { session } = this.#context;
    await refreshRecovery(session, objects.storages, this.#repository.id, (message) => this.#warn(message));
    const left = [...objects.givenUp].map(([{ name }, error]) => ({ name, error }));
    for (const { name, error } of left) this.#sayLeftBehind(name, error);
    const storages = await completeCopies({
      context: this.#context,
      catalog: this.#catalog,
      backupId: this.#id,
      storages: this.#prepared.storages,
      behind: [...absent, ...left.filter(({ error }) => !isFull(error)).map(({ name }) => name)],
      full: new Map(left.flatMap(({ name, error }) => (isFull(error) ? [[name, error] as const] : []))),
      warnings: this.#warnings,
      warn: (message) => this.#warn(message),
      onProgress: this.#request.onProgress,
    });
    // After the copies: a storage that fails at it must not keep the others from theirs.
    if (this.#prepared.verify === "full") await readBack(this.#context, objects.lead, metadata);
    requireCopies(session.loaded.config.create.require, this.#id, storages);
    const row = this.#catalog.get(this.#id);
    return {
      created: true,
      backup: row === undefined ? undefined : summaryOf(row),
      plan: this.#prepared.plan,
      sources: outcomes.map(({ result }) => result),
      storages,
      warnings: this.#warnings,
    };
  }

  #sayLeftBehind(name: string, error: unknown): void {
    const reason = withoutName(name, messageOf(error));
    if (isFull(error) || isTold(this.#warnings, name, reason)) return;
    this.#warn(`storage "${name}" was left behind (${reason}): completing its copy now`);
  }

  /** Nothing of a run that did not commit may stay; what can't be removed now is found by the next run. */
  async #withdraw(objects: BackupObjects, failure: unknown): Promise<void> {
    const { session } = this.#context;
    if (this.#catalog.get(this.#id)?.metadata !== undefined) return;
    let refused = false;
    try {
      await objects.discard();
    } catch (error) {
      refused = true;
      session.logger.warn(
        `objects of the failed run in ${this.#directory} could not be removed (${messageOf(error)}); the next run sees to it`,
      );
    }
    // What may be a whole backup is the next run's to judge.
    if (!refused || !objects.mayExist) await this.#recordFailure(objects, failure, refused);
    await removeTree(path.join(indexDirectory(this.#repository, this.#id)));
  }

  async #recordFailure(objects: BackupObjects, failure: unknown, refused: boolean): Promise<void> {
    const { session } = this.#context;
    const { storage: lead } = this.#prepared.lead;
    const at = session.clock.now().toISOString();
    try {
      const code = isBackupctlError(failure) ? failure.code : "BACKUP_FAILED";
      this.#catalog.fail(this.#id, { code, message: session.clean(messageOf(failure)) }, at);
      for (const { name } of refused ? [lead, ...objects.storages] : [])
        this.#catalog.setCopy({ backupId: this.#id, storage: name, state: "damaged", at });
      const left = [...objects.givenUp.keys()].filter((storage) => storage !== lead);
      await clearLeavings(session, this.#catalog, this.#id, this.#directory, left);
    } catch (error) {
      session.logger.warn(
        `the catalog could not be told that the run failed (${messageOf(error)}); the next run sees to it`,
      );
    }
  }

  #warn(message: string): void {
    this.#warnings.push(message);
    this.#context.session.logger.warn(message);
  }
}

function phasesOf(sources: readonly { readonly name: string }[]): readonly [string, ...string[]] {
  const [first, ...rest] = sources.map(({ name }) => `${name}_backup`);
  return first === undefined ? ["commit"] : [first, ...rest, "commit"];
}

function statusOf(outcomes: readonly SourceOutcome[]): BackupStatus {
  if (outcomes.some(({ result }) => result.status === "failed")) return "partial";
  return outcomes.every(({ result }) => result.status === "completed") ? "completed" : "completed_with_errors";
}
