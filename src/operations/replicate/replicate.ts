import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { lagOf } from "../../domain/copies.ts";
import { METADATA_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { acquireLock } from "../../platform/lock.ts";
import type { Storage } from "../../storage/storage.ts";
import { expectedIn } from "../cleanup/judge.ts";
import type { OperationContext } from "../context.ts";
import { type Holding, isWholeIn, seeAll, seeDirectories } from "../copies/holdings.ts";
import type { OnProgress, ReplicateRequest, ReplicateResult, StorageReplication } from "../operations.ts";
import { type ProgressMeter, startProgress } from "../progress-meter.ts";
import { adoptFinishedRuns } from "../repository/dead-runs.ts";
import { fillCatalog } from "../repository/rebuild-catalog.ts";
import { resolveReference } from "../repository/references.ts";
import type { Repository } from "../repository/repository.ts";
import { requireCommitted } from "../repository/write-notes.ts";
import type { Session } from "../session.ts";
import { ancestorsFirst, type CaughtUp, catchUp, missingBytes } from "./catch-up.ts";
import { type CommittedBackup, isCommitted } from "./committed.ts";

/**
 * Copies what storages lack, of one backup and its ancestors or of all that retention keeps in each, from whichever copy is good. Works
 * without any key. What can't be copied is a result, not an error. A dry run changes nothing and takes no lock.
 * @throws `BACKUP_NOT_FOUND`, `STORAGE_NOT_FOUND` for an unknown name, `BACKUP_IN_PROGRESS`
 */
export async function replicateBackups(context: OperationContext, request: ReplicateRequest): Promise<ReplicateResult> {
  const { session } = context;
  const targets = targetNames(session, request);
  const repository = await context.repository();
  const { reference, from, dryRun, onProgress } = request;
  const among = session.loaded.config.storages.map(({ name }) => name);
  const wanted = { reference, from, dryRun, onProgress, targets, among };
  if (dryRun) return new Replication(context, repository, await context.catalog("read"), wanted).run();
  const lock = await acquireLock(
    repository.state.lock,
    { operation: "replicate" },
    { waitMs: request.lockWaitMs, signal: session.signal, clock: session.clock },
  );
  try {
    const catalog = await context.catalog("write");
    await adoptFinishedRuns(session, repository, catalog);
    return await new Replication(context, repository, catalog, wanted).run();
  } finally {
    await lock.release();
  }
}

interface Wanted {
  /** Only this backup and its ancestors. */
  readonly reference?: string | undefined;
  readonly from?: string | undefined;
  readonly dryRun?: boolean;
  readonly targets: readonly string[];
  /** The storages that are opened, targets included. */
  readonly among: readonly string[];
  readonly onProgress?: OnProgress | undefined;
}

/** As `replicateBackups`, for a run that holds the lock. */
export async function replicateHere(
  context: OperationContext,
  catalog: Catalog,
  wanted: Wanted,
): Promise<ReplicateResult> {
  return new Replication(context, await context.repository(), catalog, wanted).run();
}

/** An archive gets only what is meant for it. */
function targetNames({ loaded }: Session, { to, from }: ReplicateRequest): readonly string[] {
  const { storages } = loaded.config;
  const unknown = [...to, ...(from === undefined ? [] : [from])].find(
    (name) => !storages.some((storage) => storage.name === name),
  );
  if (unknown !== undefined) {
    throw new BackupctlError("STORAGE_NOT_FOUND", `no storage is named "${unknown}"`, {
      hint: `Use one of ${storages.map(({ name }) => name).join(", ")}.`,
      exitCode: 2,
    });
  }
  const chosen = storages.filter(({ name, role }) => (to.length === 0 ? role !== "archive" : to.includes(name)));
  const targets = chosen.map(({ name }) => name).filter((name) => name !== from);
  if (targets.length > 0) return targets;
  const what =
    to.length > 0 ? `--from and --to both name "${from}"` : `there is no other storage to copy to than "${from}"`;
  throw new BackupctlError("USAGE", what, {
    hint: "Give different names with --from and --to; an archive has to be named with --to.",
  });
}

class Replication {
  readonly #context: OperationContext;
  readonly #repository: Repository;
  readonly #catalog: Catalog;
  readonly #wanted: Wanted;
  readonly #warnings: string[] = [];
  readonly #away = new Set<Storage>();
  readonly #failures = new Map<string, BackupctlError>();

  constructor(context: OperationContext, repository: Repository, catalog: Catalog, wanted: Wanted) {
    this.#context = context;
    this.#repository = repository;
    this.#catalog = catalog;
    this.#wanted = wanted;
  }

  async run(): Promise<ReplicateResult> {
    const { targets, dryRun = false } = this.#wanted;
    const asked = this.#asked();
    const holdings = await this.#look(asked?.metadata.lineage.map(({ path }) => path));
    if (asked === undefined && !dryRun) await this.#learn(holdings);
    const all = this.#known();
    const members = new Set(asked?.metadata.lineage.map(({ id }) => id));
    const ordered = ancestorsFirst(asked === undefined ? all : all.filter(({ id }) => members.has(id)));
    const storages: StorageReplication[] = [];
    for (const name of targets) {
      const expected = asked === undefined ? this.#expected(name, all) : members;
      const backups = ordered.filter(({ id }) => expected.has(id));
      const target = holdings.find(({ storage }) => storage.name === name);
      const others = holdings.filter((holding) => holding !== target);
      const caughtUp = target === undefined ? undefined : await this.#catchUp(target, others, backups);
      storages.push(this.#report(name, backups, caughtUp));
    }
    return { dryRun, storages, warnings: this.#warnings };
  }

  #asked(): CommittedBackup | undefined {
    if (this.#wanted.reference === undefined) return undefined;
    const backup: CatalogBackup = resolveReference(this.#catalog, this.#wanted.reference);
    requireCommitted(backup);
    return backup;
  }

  /** All storages that can be reached, as configured. Of those to copy to the result says why they are not among them. */
  async #look(directories: readonly string[] | undefined): Promise<readonly Holding[]> {
    const addresses = new Map<string, string>();
    const seen = await Promise.all(
      this.#wanted.among.map(async (name) => {
        try {
          const storage = await this.#repository.storage(name);
          requireOtherPlace(storage, addresses);
          return [await (directories === undefined ? seeAll(storage) : seeDirectories(storage, directories))];
        } catch (error) {
          this.#context.session.signal.throwIfAborted();
          if (!isBackupctlError(error)) throw error;
          this.#failures.set(name, error);
          if (!this.#wanted.targets.includes(name)) this.#repository.leaveOut(name, error);
          return [];
        }
      }),
    );
    return seen.flat();
  }

  /** What another host made is copied, too, and nobody waits for what is in no storage any longer. */
  async #learn(holdings: readonly Holding[]): Promise<void> {
    const there = new Set(
      holdings.flatMap(({ directories }) =>
        [...directories].flatMap(([directory, seen]) => (seen.has(METADATA_NAME) ? [directory] : [])),
      ),
    );
    const { backups } = this.#catalog.list({});
    const known = new Set(backups.map(({ storagePath }) => storagePath));
    const gone = backups.filter(({ committed, storagePath }) => committed && !there.has(storagePath));
    if (gone.length === 0 && [...there].every((directory) => known.has(directory))) return;
    await fillCatalog(this.#context.session, this.#repository, this.#catalog);
    for (const { id } of gone.filter((backup) => this.#catalog.get(backup.id) === undefined))
      this.#warn(`no storage holds backup ${id} any longer: the catalog has forgotten it`);
  }

  /** A copy that was away when its backup was deleted here must not bring it back. */
  #known(): readonly CommittedBackup[] {
    const isDeleted = ({ id }: CommittedBackup): boolean =>
      this.#catalog.events({ backupId: id }).some(({ action }) => action === "backup:delete");
    const all = this.#catalog.list({}).backups.filter(isCommitted);
    const risen = all.filter(isDeleted);
    for (const { id } of risen) {
      this.#warn(
        `backup ${id} was deleted, and a storage that was not in the config then still has it: it is not copied. Delete it again: \`backupctl delete ${id}\``,
      );
    }
    return all.filter((backup) => !risen.includes(backup));
  }

  #expected(name: string, all: readonly CommittedBackup[]): ReadonlySet<BackupId> {
    const { session } = this.#context;
    const storage = session.loaded.config.storages.find((each) => each.name === name);
    return storage === undefined ? new Set() : expectedIn(session, storage, all);
  }

  async #catchUp(target: Holding, others: readonly Holding[], backups: readonly CommittedBackup[]): Promise<CaughtUp> {
    const { session } = this.#context;
    if (this.#wanted.dryRun === true) return this.#planned(target, backups);
    const missing = backups.filter((backup) => missingBytes(target, others, backup) !== undefined);
    const progress = this.#progress(target, others, missing);
    try {
      return await catchUp(
        {
          session,
          repository: this.#repository,
          catalog: this.#catalog,
          target,
          others,
          from: this.#wanted.from,
          away: this.#away,
          warn: (message) => this.#warn(message),
          onBytes: (count) => progress?.add(count, 0),
        },
        backups,
      );
    } finally {
      await progress?.finish();
    }
  }

  #planned(target: Holding, backups: readonly CommittedBackup[]): CaughtUp {
    const whole = new Set(backups.filter((backup) => isWholeIn(target, backup)).map(({ id }) => id));
    return { copied: [], bytes: 0, notCopied: [], whole, failure: undefined };
  }

  #progress(
    target: Holding,
    others: readonly Holding[],
    missing: readonly CommittedBackup[],
  ): ProgressMeter | undefined {
    const [first] = missing;
    if (first === undefined) return undefined;
    const progress = startProgress({
      phases: [`${target.storage.name}_copy`],
      backupId: first.id,
      operation: "replicate",
      file: this.#repository.state.progress,
      clock: this.#context.session.clock,
      onProgress: this.#wanted.onProgress,
    });
    progress.total({
      bytes: missing.reduce((sum, backup) => sum + (missingBytes(target, others, backup) ?? 0), 0),
      rough: true,
    });
    return progress;
  }

  #report(name: string, backups: readonly CommittedBackup[], caughtUp: CaughtUp | undefined): StorageReplication {
    const isThere = ({ copies }: CommittedBackup): boolean =>
      copies.some(({ storage, state }) => storage === name && state === "complete");
    const failure = caughtUp?.failure ?? this.#failures.get(name);
    return {
      name,
      copied: caughtUp?.copied ?? [],
      bytes: caughtUp?.bytes ?? 0,
      notCopied: (caughtUp?.notCopied ?? []).map(({ backupId, error }) => ({ backupId, error: said(error) })),
      failure: failure === undefined ? undefined : said(failure),
      lag: lagOf(backups, caughtUp === undefined ? isThere : ({ id }) => caughtUp.whole.has(id)),
    };
  }

  #warn(message: string): void {
    this.#warnings.push(message);
    this.#context.session.logger.warn(message);
  }
}

/** Two names for one place are one copy. */
function requireOtherPlace({ name, address }: Storage, addresses: Map<string, string>): void {
  const twin = addresses.get(address);
  addresses.set(address, twin ?? name);
  if (twin === undefined) return;
  throw new BackupctlError("CONFIG_INVALID", `it is the same place as "${twin}": ${address}`, {
    hint: "Give one of the two another place, best another disk, or leave it out.",
  });
}

function said({ code, message, hint }: BackupctlError) {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}
