import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import { ancestorIdsOf } from "../../domain/known-backup.ts";
import type { Brake } from "../../domain/retention/brake.ts";
import type { Move } from "../../domain/retention/cleanup.ts";
import { BackupctlError } from "../../errors.ts";
import { acquireLock } from "../../platform/lock.ts";
import type { OperationContext } from "../context.ts";
import { type Holding, seeAll } from "../copies/holdings.ts";
import { sayWhatCanBeRead } from "../delete/secure-delete.ts";
import type { CleanedStorage, CleanupRequest, CleanupResult } from "../operations.ts";
import { removeOrphans } from "../orphans/remove-orphans.ts";
import { adoptFinishedRuns } from "../repository/dead-runs.ts";
import { impatience } from "../repository/impatience.ts";
import { locksOf } from "../repository/locks.ts";
import { fillCatalog } from "../repository/rebuild-catalog.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import { archive } from "./archive.ts";
import { type FrozenArchive, freezeArchive } from "./freeze.ts";
import { goingFrom } from "./judge.ts";
import { removeLapsedMarks, removeTrials } from "./lapsed-marks.ts";
import { type Asked, decideCleanup, describeDecision, type StorageDecision } from "./plan.ts";
import { removeCopies } from "./remove-copies.ts";
import { asSeen } from "./seen-copies.ts";

/**
 * Removes from each storage what retention lets go, decided by what really lies there, and then what died runs left. What is for an
 * archive is copied there and verified before. A storage that is away is left for the next time.
 * @throws `RETENTION_POLICY_VIOLATION` or `CLOCK_SKEWED` for what only force lifts: too much would go, or a clock is wrong;
 * `BACKUP_IN_PROGRESS`, `USAGE` for force without a reason
 */
export async function cleanUp(context: OperationContext, request: CleanupRequest): Promise<CleanupResult> {
  const { session } = context;
  requireReason(request);
  const repository = await context.repository();
  const lock = await acquireLock(
    repository.state.lock,
    { operation: "cleanup" },
    { waitMs: request.lockWaitMs, signal: session.signal, clock: session.clock },
  );
  try {
    const catalog = await context.catalog("write");
    await adoptFinishedRuns(session, repository, catalog);
    const looks = await lookAtAll(context, repository);
    const { backups } = catalog.list({});
    const seen: Asked[] = [];
    for (const { storage, holding } of looks) {
      if (holding === undefined) continue;
      const there = backups.map((backup) => asSeen(backup, holding));
      const locks = await locksOf(holding.storage, goingFrom(session, storage, there), session.signal);
      seen.push({ storage, backups: there, locks });
    }
    const decision = decideCleanup({ session, catalog, backups }, seen);
    if (!request.force) requireReleased(decision.brakes);
    const { moved, unsafe, failed } = await archive(context, catalog, decision.moves);
    const cleaned: CleanedStorage[] = [];
    let hasLapsed = false;
    for (const { storage, holding, failure } of looks) {
      const decided = decision.storages.find((each) => each.storage === storage);
      const run = { context, repository, catalog, unsafe, forced: request.force ? request.reason : undefined };
      if (holding === undefined || decided === undefined) {
        cleaned.push({
          ...NOTHING,
          name: storage.name,
          leftOut: holding === undefined,
          failure: failure && said(failure),
        });
        continue;
      }
      const locks = seen.find((each) => each.storage === storage)?.locks ?? [];
      const locked = Array.from(locks, ([backupId, until]) => ({ backupId, until }));
      cleaned.push({ ...(await cleanStorage(run, holding, decided)), locked });
      const staying = decided.verdicts.flatMap(({ keep, backup }) =>
        keep && backup.status !== "deleting" ? [backup] : [],
      );
      await removeTrials(session, holding, staying);
      if (await removeLapsedMarks(session, catalog, holding, staying)) hasLapsed = true;
    }
    if (hasLapsed) await fillCatalog(session, repository, catalog);
    const opened = looks.flatMap(({ holding }) => holding?.storage ?? []);
    const emptied = new Set(cleaned.filter(({ removed }) => removed.length > 0).map(({ name }) => name));
    await sayWhatCanBeRead(session, opened, emptied);
    const archives = await freezeArchives(context, catalog, { looks, failed });
    await removeOrphans(session, repository, catalog);
    return {
      plan: describeDecision(decision),
      archived: moved,
      frozen: archives.flatMap(({ frozen }) => frozen),
      storages: cleaned.map((each) => {
        const failure = archives.find(({ name }) => name === each.name)?.failure;
        return each.failure === undefined && failure !== undefined ? { ...each, failure: said(failure) } : each;
      }),
    };
  } finally {
    await lock.release();
  }
}

function requireReason({ force, reason }: CleanupRequest): void {
  if (!force || (reason !== undefined && reason.trim() !== "")) return;
  throw new BackupctlError("USAGE", "--force needs a reason", {
    hint: 'Say why with --reason "…": it is kept in the log.',
  });
}

function requireReleased(brakes: readonly Brake[]): void {
  const [first] = brakes;
  if (first === undefined) return;
  const data = { brakes: brakes.map(({ kind, text }) => ({ kind, text })) };
  if (first.kind === "clock") {
    throw new BackupctlError("CLOCK_SKEWED", `nothing was removed: ${first.text}`, {
      hint: "Set the clock. If it is right, that backup goes with `backupctl delete ID --force --reason TEXT`; or run cleanup with --force --reason TEXT.",
      data,
    });
  }
  throw new BackupctlError("RETENTION_POLICY_VIOLATION", `nothing was removed: ${first.text}`, {
    hint: "No later cleanup goes through either: look at `backupctl cleanup --dry-run`, and if all of that shall go, run cleanup once with --force --reason TEXT. If it comes again, clean up more often, or raise retention.max_delete.",
    data,
  });
}

interface Look {
  readonly storage: StorageConfig;
  /** `undefined` where it is away. */
  readonly holding?: Holding;
  readonly failure?: BackupctlError;
}

async function lookAtAll({ session }: OperationContext, repository: Repository): Promise<readonly Look[]> {
  const looks: Look[] = [];
  for (const storage of session.loaded.config.storages) {
    try {
      const patience = storage.role === "archive" ? impatience(session.clock, session.signal) : undefined;
      looks.push({ storage, holding: await seeAll(await repository.storage(storage.name, patience)) });
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      // An archive may lie in a drawer: what is to move there says that it is missed. Of any other one the result says it.
      looks.push(storage.role === "archive" ? { storage } : { storage, failure: error });
    }
  }
  return looks;
}

async function freezeArchives(
  context: OperationContext,
  catalog: Catalog,
  { looks, failed }: { readonly looks: readonly Look[]; readonly failed: readonly Move[] },
): Promise<readonly (FrozenArchive & { readonly name: string })[]> {
  const archives: (FrozenArchive & { readonly name: string })[] = [];
  for (const { storage, holding } of looks) {
    if (storage.role !== "archive" || holding === undefined) continue;
    const told = new Set(failed.flatMap(({ backupId, to }) => (to === storage.name ? [backupId] : [])));
    archives.push({ name: storage.name, ...(await freezeArchive(context, catalog, holding.storage, told)) });
  }
  return archives;
}

interface Run {
  readonly context: OperationContext;
  readonly repository: Repository;
  readonly catalog: Catalog;
  /** What must not go, and why. */
  readonly unsafe: ReadonlyMap<BackupId, BackupctlError>;
  /** Why the brakes were lifted. */
  readonly forced: string | undefined;
}

const NOTHING = { leftOut: false, removed: [], bytes: 0, locked: [], notRemoved: [], failure: undefined } as const;

async function cleanStorage(
  { context, repository, catalog, unsafe, forced }: Run,
  { storage }: Holding,
  { verdicts }: StorageDecision,
): Promise<CleanedStorage> {
  const { session } = context;
  const reasons = new Map<BackupId, string>();
  for (const { backup, keep, reasons: why } of verdicts) {
    if (!keep) reasons.set(backup.id, why.map(({ text }) => text).join("; "));
  }
  const isArchive = session.loaded.config.storages.some(
    ({ name, role }) => name === storage.name && role === "archive",
  );
  const letGo = [...reasons.keys()].flatMap((id) => catalog.get(id) ?? []);
  const stuck = new Map(isArchive ? [] : [...unsafe].filter(([id]) => reasons.has(id)));
  const going = keptWhole(letGo, new Set(stuck.keys()));
  const stays = [...stuck].map(([backupId, error]) => ({ backupId, error: said(error) }));
  if (going.length === 0) return { ...NOTHING, name: storage.name, notRemoved: stays };
  const detailOf = (id: BackupId) => ({
    retention: reasons.get(id) ?? "",
    ...(forced === undefined ? {} : { forced }),
  });
  const done = await removeCopies({ session, repository, catalog, storage, going, detailOf });
  return {
    ...NOTHING,
    name: storage.name,
    removed: done.removed,
    bytes: done.bytes,
    notRemoved: [...stays, ...done.failures.map(({ backupId, error }) => ({ backupId, error: said(error) }))],
    failure: done.ended && said(done.ended),
  };
}

/** Without those that have to stay, and what they build on. */
function keptWhole(going: readonly CatalogBackup[], staying: ReadonlySet<BackupId>): readonly CatalogBackup[] {
  const needed = new Set(
    going.filter(({ id }) => staying.has(id)).flatMap((backup) => [backup.id, ...ancestorIdsOf(backup)]),
  );
  return going.filter(({ id }) => !needed.has(id));
}

function said({ code, message, hint }: BackupctlError) {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}
