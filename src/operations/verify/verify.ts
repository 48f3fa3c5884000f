import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { ancestorIdsOf, isGoodSource } from "../../domain/known-backup.ts";
import { formatSpan } from "../../domain/timestamp.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { acquireLock } from "../../platform/lock.ts";
import type { OperationContext } from "../context.ts";
import type { BackupVerification, VerifyRequest, VerifyResult } from "../operations.ts";
import { mapInParallel } from "../parallel.ts";
import { copiesOf } from "../repository/copies.ts";
import { lookAtUnreadable } from "../repository/look-again.ts";
import { lookAtProgram } from "../repository/recovery-files.ts";
import { findReferenced } from "../repository/references.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import { passedOverWarning, unreadableIn } from "../repository/unreadable-backups.ts";
import { requireCommitted } from "../repository/write-notes.ts";
import { componentNamed, explainNoGood } from "../restore/choice.ts";
import { missedCopy, type Verified, type Verifying, verifyBackup } from "./backup.ts";
import { mayHold, record, stateIn } from "./record.ts";
import { repairCopy } from "./repair.ts";

/** Small requests, of which each waits for the one before. */
const QUICK_LOOKS_AT_ONCE = 4;

/**
 * Checks one backup, all of a span, or all; damage is a result, not an error. What was found is written beside the backup and into the
 * catalog: a backup that failed is no longer `latest` nor anybody's parent until it passes. Waits for no lock. Where no storage is named
 * the copy that a restore would read is looked at, the next one where that is damaged or can't be had, and each that is known not to be
 * whole: damage is told until it is mended.
 * With `repair`, under the lock, each copy is looked at but whole ones in archives; what is damaged is replaced from other copies, and
 * checked once more.
 * @throws `BACKUP_NOT_FOUND` if there is nothing to check: that is no success; `BACKUP_IN_PROGRESS` where a repair would meet another run
 */
export async function verifyBackups(context: OperationContext, request: VerifyRequest): Promise<VerifyResult> {
  if (request.repair !== true) return verifyAll(context, request);
  const { state } = await context.repository();
  const { signal, clock } = context.session;
  const lock = await acquireLock(state.lock, { operation: "verify --repair" }, { signal, clock });
  try {
    return await verifyAll(context, request);
  } finally {
    await lock.release();
  }
}

async function verifyAll(context: OperationContext, request: VerifyRequest): Promise<VerifyResult> {
  const repository = await context.repository();
  const catalog = await context.catalog("read");
  if (unreadableIn(catalog).length > 0)
    await lookAtUnreadable(context.session, repository, await context.catalog("write"));
  const backups = await choose(context, catalog, request);
  const copies = new CopiesToVerify(context, repository, catalog, request);
  const atOnce = request.quick && request.repair !== true ? QUICK_LOOKS_AT_ONCE : 1;
  const results = await mapInParallel(backups, atOnce, (backup) => {
    context.session.signal.throwIfAborted();
    return copies.verify(backup);
  });
  return { backups: results.flat(), passed: results.flat().every(({ passed }) => passed) };
}

class CopiesToVerify {
  readonly #context: OperationContext;
  readonly #repository: Repository;
  readonly #catalog: Catalog;
  readonly #request: VerifyRequest;
  /** By the storage's name: what was read of an ancestor there need not be read again. */
  readonly #verifying = new Map<string, Promise<Verifying>>();
  /** By the storage's name: why it can't be had. */
  readonly #away = new Map<string, BackupctlError>();

  constructor(context: OperationContext, repository: Repository, catalog: Catalog, request: VerifyRequest) {
    this.#context = context;
    this.#repository = repository;
    this.#catalog = catalog;
    this.#request = request;
  }

  /**
   * Looks at one copy after the other until one passes, or would not help, and at those that did not. One that can't be had is told where
   * it was to be repaired, or where there is no other.
   * @throws why none of the one backup, or of the one storage, that was asked for could be looked at
   */
  async verify(backup: CatalogBackup): Promise<readonly BackupVerification[]> {
    const { reference, storage, repair } = this.#request;
    const found: Verified[] = [];
    const missed: BackupVerification[] = [];
    let failure: unknown;
    for (const name of this.#namesOf(backup)) {
      if (found.some(({ verification }) => verification.passed) && this.#mayBePassedOver(backup, name)) continue;
      try {
        const verified = await this.#verifyCopy(name, backup);
        found.push(verified);
        if (verified.verification.unseen === "locked") return withRecommendations(backup, found);
      } catch (error) {
        failure ??= error;
        missed.push(this.#miss(backup, name, error));
      }
    }
    if (found.length > 0) return [...withRecommendations(backup, found), ...(repair === true ? missed : [])];
    // Of many each is to be asked for.
    const ends = reference !== undefined || (storage !== undefined && !isBackupctlError(failure, "OBJECT_COLD"));
    if (missed.length === 0 || ends) throw failure;
    return missed;
  }

  /** What there is to say where nothing was looked at. @throws what is no reason for that */
  #miss(backup: CatalogBackup, storage: string, error: unknown): BackupVerification {
    const isCold = isBackupctlError(error, "OBJECT_COLD");
    if (!isCold && !isUnreachable(error)) throw error;
    if (!isCold) this.#leaveOut(storage, error);
    return missedCopy(this.#context, this.#request, { backup, storage, error });
  }

  /** What is asked for by name is all that is looked at; an archive may lie in a drawer, or cold. */
  #mayBePassedOver(backup: CatalogBackup, name: string): boolean {
    if (stateIn(backup, name) !== "complete") return false;
    return this.#request.repair !== true || isArchive(this.#context, name);
  }

  /** Best first. The primary has each backup of which no copy is known. */
  #namesOf(backup: CatalogBackup): readonly string[] {
    const { storage } = this.#request;
    if (storage !== undefined) return [storage];
    const known = copiesOf(this.#context.session, backup).filter((name) => mayHold(stateIn(backup, name)));
    return known.length === 0 ? [this.#repository.primaryName] : known;
  }

  #leaveOut(name: string, error: BackupctlError): void {
    this.#away.set(name, error);
    // One that was asked for is the error itself.
    if (this.#request.storage === undefined) this.#repository.leaveOut(name, error);
  }

  async #verifyCopy(name: string, backup: CatalogBackup): Promise<Verified> {
    const verifying = await this.#verifyingIn(name);
    const verified = await this.#mended(verifying, backup, await verifyBackup(verifying, backup));
    if (verified.verification.unseen !== "pending") await record(verifying, backup, verified);
    if (this.#request.repair === true && verified.verification.passed) await this.#acquit(verifying, backup);
    return verified;
  }

  /**
   * What made an ancestor known to be damaged may have been mended with its descendant, and what made a descendant so with the ancestor:
   * only a look at all of it tells. Of many backups each is looked at in its turn.
   */
  async #acquit(verifying: Verifying, backup: CatalogBackup): Promise<void> {
    const { storage } = verifying;
    const request = { ...this.#request, components: [], deep: false, storage: undefined };
    const whole: Verifying = { ...verifying, request, single: false };
    const lineage = [backup.id, ...ancestorIdsOf(backup)];
    const descendants = verifying.single ? this.#builtOn(lineage) : [];
    for (const id of [...ancestorIdsOf(backup), ...descendants]) {
      const known = this.#catalog.get(id);
      if (known === undefined || !isAccused(known, storage.name)) continue;
      try {
        const verified = await verifyBackup(whole, known);
        if (verified.verification.passed) await record(whole, known, verified);
      } catch (error) {
        // Nobody asked for it to be thawed.
        if (!isBackupctlError(error, "OBJECT_COLD")) throw error;
      }
    }
  }

  /** Oldest first, without those themselves. */
  #builtOn(lineage: readonly BackupId[]): readonly BackupId[] {
    const backups = this.#catalog.list({ order: "oldest" }).backups.filter(isToVerify);
    const isBuiltOn = (backup: CatalogBackup): boolean => ancestorIdsOf(backup).some((id) => lineage.includes(id));
    return backups.filter((backup) => !lineage.includes(backup.id) && isBuiltOn(backup)).map(({ id }) => id);
  }

  async #mended(verifying: Verifying, backup: CatalogBackup, verified: Verified): Promise<Verified> {
    const { passed, unseen } = verified.verification;
    if (this.#request.repair !== true || unseen !== undefined) return verified;
    const repaired = await repairCopy(verifying, backup, passed ? "keys and notes" : "all");
    if (passed || repaired.length === 0) return { ...verified, verification: { ...verified.verification, repaired } };
    verifying.directories.clear();
    verifying.glances.clear();
    const again = await verifyBackup(verifying, backup);
    return { ...again, verification: { ...again.verification, repaired } };
  }

  async #verifyingIn(name: string): Promise<Verifying> {
    const away = this.#away.get(name);
    if (away !== undefined) throw away;
    const known = this.#verifying.get(name) ?? this.#begin(name);
    this.#verifying.set(name, known);
    return known;
  }

  async #begin(name: string): Promise<Verifying> {
    const storage = await this.#repository.storage(name);
    await lookAtProgram(this.#context.session, storage, this.#request.repair === true);
    return {
      context: this.#context,
      repository: this.#repository,
      storage,
      request: this.#request,
      known: (id) => this.#catalog.get(id),
      single: this.#request.reference !== undefined,
      directories: new Map(),
      glances: new Map(),
    };
  }
}

/** It may have a sound copy there, and is known to be damaged. */
function isAccused(backup: CatalogBackup, storage: string): boolean {
  const state = stateIn(backup, storage);
  return state === "damaged" || (mayHold(state) && backup.notes.verified?.passed === false);
}

/** Known only when all copies were looked at. */
function withRecommendations({ copies }: CatalogBackup, found: readonly Verified[]): readonly BackupVerification[] {
  const seen = new Map(found.map(({ verification }) => [verification.storage, verification]));
  const sound = copies.filter(({ storage, state }) => state === "complete" && seen.get(storage)?.passed !== false);
  const damaged = copies.filter(({ storage, state }) => {
    const verification = seen.get(storage);
    return verification === undefined ? state === "damaged" : !verification.passed && verification.unseen === undefined;
  });
  const others = {
    soundIn: sound.map(({ storage }) => storage),
    damagedIn: damaged.map(({ storage }) => storage),
  };
  return found.map(({ verification, recommendations }) => ({
    ...verification,
    recommendations: recommendations(others),
  }));
}

async function choose(
  context: OperationContext,
  catalog: Catalog,
  request: VerifyRequest,
): Promise<readonly CatalogBackup[]> {
  const { session } = context;
  const { reference, lastMs, all, components } = request;
  if ([reference !== undefined, lastMs !== undefined, all].filter(Boolean).length !== 1) {
    throw new BackupctlError("USAGE", "verify needs one backup, --last or --all", {
      hint: "For example `backupctl verify latest` or `backupctl verify --last 24h`.",
    });
  }
  if (reference !== undefined) {
    const backup = await referenced(context, catalog, reference);
    if (reference === "latest")
      for (const passed of unreadableIn(catalog)) session.logger.warn(passedOverWarning(passed));
    requireCommitted(backup);
    return [backup];
  }
  const from = lastMs === undefined ? {} : { from: new Date(session.clock.now().getTime() - lastMs).toISOString() };
  // Oldest first: what was read of an ancestor need not be read again for its descendants.
  const known = catalog.list({ ...from, order: "oldest" }).backups.filter((backup) => holdsAll(backup, components));
  for (const { id } of known.filter(({ committed, status }) => committed && status === "deleting"))
    session.logger.warn(`backup ${id} is passed over, since it is being deleted`);
  const backups = known.filter(isToVerify).filter((backup) => !isNotInArchive(context, request, backup));
  if (backups.length > 0) return backups;
  if (request.storage !== undefined && known.some(isToVerify)) {
    throw new BackupctlError("BACKUP_NOT_FOUND", `archive "${request.storage}" holds no backup yet`, {
      hint: `What is due goes there with \`backupctl cleanup\`; \`backupctl replicate ID --to ${request.storage}\` copies one there.`,
    });
  }
  const what = components.length === 0 ? "" : ` with ${components.join(", ")}`;
  const when = lastMs === undefined ? "there is" : `in the last ${formatSpan(lastMs)} there was`;
  throw new BackupctlError("BACKUP_NOT_FOUND", `${when} no backup${what}`, {
    hint: "Make one with `backupctl create`.",
  });
}

/** @throws what `findReferenced` throws; why none is good where that is another reason than that there is none */
async function referenced(context: OperationContext, catalog: Catalog, reference: string): Promise<CatalogBackup> {
  try {
    return findReferenced(catalog, reference);
  } catch (error) {
    if (reference === "latest" && isBackupctlError(error, "BACKUP_NOT_FOUND"))
      await explainNoGood(context, catalog.list({}).backups);
    throw error;
  }
}

/** One that can't be read is none, but nobody may take the rest for all. */
function isToVerify({ committed, status }: CatalogBackup): boolean {
  return (committed && status !== "deleting") || status === "unreadable";
}

/** An archive has only what retention moved there, or somebody copied: what it has not, it does not lack. */
function isNotInArchive(context: OperationContext, { storage }: VerifyRequest, backup: CatalogBackup): boolean {
  return storage !== undefined && isArchive(context, storage) && !mayHold(stateIn(backup, storage));
}

function isArchive({ session }: OperationContext, name: string): boolean {
  return session.loaded.config.storages.find((storage) => storage.name === name)?.role === "archive";
}

function holdsAll(backup: CatalogBackup, components: readonly string[]): boolean {
  if (backup.status === "unreadable") return true;
  const held = components.length === 0 ? [] : (backup.metadata?.sources.filter(isGoodSource) ?? []);
  return components.every((name) => componentNamed(held, name) !== undefined);
}
