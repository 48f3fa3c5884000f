import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, LineageMember, VerificationDepth } from "../../domain/backup.ts";
import { expectedPacks } from "../../domain/copies.ts";
import { DELETED_NAME, METADATA_NAME } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { metadataKey } from "../../format/data-key.ts";
import { WorkerPool } from "../../format/workers/pool.ts";
import type { Storage } from "../../storage/storage.ts";
import { expectedIn } from "../cleanup/judge.ts";
import type { OperationContext } from "../context.ts";
import { findFrozen, requireThawed } from "../copies/frozen.ts";
import type { BackupVerification, VerifyRequest } from "../operations.ts";
import { type ProgressMeter, startProgress } from "../progress-meter.ts";
import { readCommitted } from "../repository/committed-backup.ts";
import { noCopyIn } from "../repository/copies.ts";
import { markedWarning } from "../repository/deletion-mark.ts";
import { openPackSource } from "../repository/pack-fetching.ts";
import { createReadingDirectory } from "../repository/reading-directory.ts";
import { type Repository, readLockedWraps, type StoredBackup } from "../repository/repository.ts";
import { collectNotes } from "../repository/stored-notes.ts";
import { requireTrusted } from "../repository/trust.ts";
import { chooseSources } from "../restore/choice.ts";
import { compareRestored } from "./deep.ts";
import { Findings, type OtherCopies } from "./findings.ts";
import { type AncestorLook, checkListing, checkSums, hashingSource, lookAtAncestor, type Problem } from "./objects.ts";
import { checkSource } from "./source.ts";

export interface Verifying {
  readonly context: OperationContext;
  readonly repository: Repository;
  readonly storage: Storage;
  readonly request: VerifyRequest;
  /** What the catalog knows of a backup. */
  readonly known: (id: BackupId) => CatalogBackup | undefined;
  /** One backup was named: what keeps it from being looked at at all is an error, not a finding. */
  readonly single: boolean;
  /** What was found in directories that were read already, by path: ancestors are shared by many. */
  readonly directories: Map<string, readonly Problem[]>;
  /** What a quick look found of ancestors, by path and checksum. */
  readonly glances: Map<string, Promise<Glance>>;
}

export interface Verified {
  readonly verification: Omit<BackupVerification, "recommendations">;
  /** What to do now, by what is known of all copies: others are looked at after this one. */
  readonly recommendations: (copies: OtherCopies) => readonly string[];
  /** False where the metadata could not be believed: nothing may be written about it. */
  readonly trusted: boolean;
  /** False where something else than the backup kept a check from being made. */
  readonly conclusive: boolean;
  /** Ancestors whose objects in this storage are damaged or missing, and whether their metadata could be believed. */
  readonly damagedAncestors: ReadonlyMap<BackupId, boolean>;
}

/** Checks one backup as one storage has it. @throws what keeps a backup that was asked for from being looked at */
export async function verifyBackup(verifying: Verifying, backup: CatalogBackup): Promise<Verified> {
  const { context, request, storage } = verifying;
  const { clock } = context.session;
  const started = clock.monotonicMs();
  const findings = new Findings();
  const metadata = await openMetadata(verifying, backup, findings);
  const depth = depthOf(request);
  const wanted = { components: request.components, sources: [] };
  const looked = metadata === undefined ? [] : chooseSources(metadata, wanted).sources.map(({ name }) => name);
  const decided = metadata === undefined || (await checkContents(verifying, metadata, looked, findings, depth));
  const conclusive = metadata === undefined || ((await opensWithEachKey(verifying, metadata, findings)) && decided);
  return {
    trusted: metadata !== undefined,
    conclusive,
    damagedAncestors: findings.damagedAncestors,
    recommendations: ({ soundIn, damagedIn }) => {
      const isOther = (name: string): boolean => name !== storage.name;
      const others = { soundIn: soundIn.filter(isOther), damagedIn: damagedIn.filter(isOther) };
      return findings.recommendations(backup.id, others, request.repair === true ? undefined : storage.name);
    },
    verification: {
      backupId: backup.id,
      passed: findings.passed,
      unseen: findings.unseen,
      depth,
      verifiedAt: clock.now().toISOString(),
      seconds: Math.round(clock.monotonicMs() - started) / 1000,
      storage: storage.name,
      checks: findings.checks(),
      components: metadata === undefined ? {} : findings.components(metadata, looked),
      issues: findings.issues,
      repaired: [],
    },
  };
}

/** What there is to say of a copy whose storage can't be had, or has to thaw it. */
export function missedCopy(
  { session }: OperationContext,
  request: VerifyRequest,
  copy: { readonly backup: CatalogBackup; readonly storage: string; readonly error: BackupctlError },
): BackupVerification {
  const findings = new Findings();
  findings.isUnseen(isBackupctlError(copy.error, "OBJECT_COLD") ? "cold" : "away", copy.error);
  return {
    backupId: copy.backup.id,
    passed: false,
    unseen: findings.unseen,
    depth: depthOf(request),
    verifiedAt: session.clock.now().toISOString(),
    seconds: 0,
    storage: copy.storage,
    checks: findings.checks(),
    components: {},
    issues: findings.issues,
    recommendations: findings.recommendations(copy.backup.id, { soundIn: [], damagedIn: [] }, undefined),
    repaired: [],
  };
}

function depthOf({ quick, deep }: VerifyRequest): VerificationDepth {
  if (deep) return "deep";
  return quick ? "quick" : "full";
}

/** The metadata, proven; `undefined` where it is not, with the reason among the findings. */
async function openMetadata(
  verifying: Verifying,
  backup: CatalogBackup,
  findings: Findings,
): Promise<BackupMetadata | undefined> {
  const { context, repository, storage, request } = verifying;
  let stored: StoredBackup;
  try {
    stored = await readCommitted(repository, storage, backup);
    requireTrusted(context.session, stored, request.allowUnencrypted);
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    await reportUnopened(verifying, backup, findings, error);
    return undefined;
  }
  findings.made("metadata_validation");
  const macKey = stored.dataKey === undefined ? undefined : metadataKey(stored.dataKey, backup.id);
  const notes = await collectNotes([storage], stored.metadata, macKey);
  if (notes.unknown !== undefined)
    context.session.logger.warn(`backup ${backup.id} counts as on hold: ${notes.unknown}`);
  for (const problem of [...stored.keysProblems, ...notes.problems]) findings.fail("metadata_validation", problem);
  return stored.metadata;
}

/** Why the metadata can't be used. @throws what is not for one backup of many to say */
async function reportUnopened(
  verifying: Verifying,
  backup: CatalogBackup,
  findings: Findings,
  error: BackupctlError,
): Promise<void> {
  const { storagePath } = backup;
  const { storage, single } = verifying;
  const { code, message } = error;
  if (code === "BACKUP_CORRUPTED" || code === "UNSUPPORTED_FORMAT") {
    const isGone = isBackupctlError(error.cause, "BACKUP_NOT_FOUND");
    findings.fail(isGone ? "component_completeness" : "metadata_validation", message);
  } else if (code === "BACKUP_NOT_FOUND" && (await isExpected(verifying, backup))) {
    findings.fail("component_completeness", `${storagePath}/${METADATA_NAME} is missing in storage "${storage.name}"`);
  } else if (code === "BACKUP_NOT_FOUND") {
    findings.isUnseen("pending", noCopyIn(storage.name, backup));
  } else if (!single && code === "ENCRYPTION_KEY_NOT_FOUND") {
    findings.isLocked(error);
  } else if (!single && code === "BACKUP_VERIFICATION_FAILED") {
    findings.cannotLook("encryption_validation", error);
  } else {
    throw error;
  }
}

/** Of what the catalog says that it was given; the primary else has every backup that retention has not let go from it. */
async function isExpected({ context, repository, storage }: Verifying, backup: CatalogBackup): Promise<boolean> {
  const copy = backup.copies.find((candidate) => candidate.storage === storage.name);
  if (copy !== undefined) return copy.state !== "pending";
  if (storage.name !== repository.primaryName) return false;
  const [primary] = context.session.loaded.config.storages;
  const isElsewhere = backup.copies.some(({ state }) => state === "complete");
  if (!isElsewhere || primary === undefined) return true;
  const { backups } = (await context.catalog("read")).list({});
  return expectedIn(context.session, primary, backups).has(backup.id);
}

/** A key that does not open what was sealed for it may be another one now: what another key opens is whole all the same. */
async function opensWithEachKey(
  { repository, storage }: Verifying,
  metadata: BackupMetadata,
  findings: Findings,
): Promise<boolean> {
  const isDamaged = !findings.passed;
  const locked = await readLockedWraps(repository, storage, metadata);
  for (const { object, keyName, provider } of locked) {
    findings.cannotLook("encryption_validation", {
      message: `${metadata.storage_path}/${object}: key ${keyName} (${provider}) does not open what was sealed for it`,
      hint: `If key ${keyName} is still the same one, the object is damaged: make a new full backup while another key opens this one.`,
    });
  }
  return isDamaged || locked.length === 0;
}

/** False if something else than the backup kept a check from being made. */
async function checkContents(
  verifying: Verifying,
  metadata: BackupMetadata,
  looked: readonly string[],
  findings: Findings,
  depth: VerificationDepth,
): Promise<boolean> {
  const { storage, repository } = verifying;
  const report = ({ check, text, source }: Problem): void => {
    if (source === undefined || looked.includes(source)) findings.fail(check, text, source);
  };
  findings.made("component_completeness");
  for (const problem of await checkListing(storage, metadata)) report(problem);
  if ((await storage.stat(`${metadata.storage_path}/${DELETED_NAME}`)) !== undefined)
    verifying.context.session.logger.warn(markedWarning(storage.name, metadata));
  const lineage = metadata.lineage.slice(0, -1);
  if (depth === "quick") {
    for (const member of lineage) {
      const { look, listing } = await glanceAt(verifying, member);
      failForLook(findings, member, look);
      for (const problem of listing) failForAll(findings, looked, member, problem);
    }
    return true;
  }
  const ancestors: BackupMetadata[] = [];
  for (const member of lineage) {
    const ancestor = await lookAtAncestor(repository, storage, member, verifying.known(member.id));
    failForLook(findings, member, { ...ancestor, isThere: ancestor.metadata !== undefined });
    if (ancestor.metadata !== undefined) ancestors.push(ancestor.metadata);
  }
  await requireReadable(verifying, [metadata, ...ancestors]);
  await checkBytes(verifying, metadata, ancestors, looked, findings, report);
  // What is damaged need not be restored to know that it can't be.
  const conclusive =
    depth !== "deep" || !findings.passed || (await compareRestored(verifying, metadata, looked, findings));
  for (const source of metadata.sources.filter(({ name }) => looked.includes(name) && !findings.hasFailed(name))) {
    findings.verified(source.name, source.size, source.counts.files ?? source.counts.entries ?? 0);
  }
  return conclusive;
}

/** Without the metadata: there may be thousands of ancestors. */
interface Glance {
  readonly look: Pick<AncestorLook, "problems" | "isDamaged"> & { readonly isThere: boolean };
  readonly listing: readonly Problem[];
}

/** Once for all descendants. */
function glanceAt(verifying: Verifying, member: LineageMember): Promise<Glance> {
  const { repository, storage, glances, known } = verifying;
  const key = `${member.path} ${member.checksum ?? ""}`;
  const glance = async (): Promise<Glance> => {
    const { metadata, problems, isDamaged } = await lookAtAncestor(repository, storage, member, known(member.id));
    const listing = metadata === undefined ? [] : await checkListing(storage, metadata);
    return { look: { problems, isDamaged, isThere: metadata !== undefined }, listing };
  };
  const found = glances.get(key) ?? glance();
  glances.set(key, found);
  return found;
}

function failForLook(
  findings: Findings,
  { id }: LineageMember,
  { problems, isDamaged, isThere }: Glance["look"],
): void {
  for (const problem of problems) findings.fail(problem.check, problem.text);
  if (isDamaged) findings.damagedAncestors.set(id, isThere);
}

/** Asks only a storage that was named to thaw anything: that costs. @throws `OBJECT_COLD` */
async function requireReadable(
  { context, repository, storage, request }: Verifying,
  backups: readonly BackupMetadata[],
): Promise<void> {
  const keys = backups.flatMap((each) => expectedPacks(each).map(({ name }) => `${each.storage_path}/${name}`));
  const frozen = await findFrozen(repository, { storages: [storage.name], keys, signal: context.session.signal });
  const [backup] = backups;
  if (frozen.length === 0 || backup === undefined) return;
  if (request.storage === storage.name) return requireThawed(frozen, backup.id, context);
  throw new BackupctlError("OBJECT_COLD", `backup ${backup.id} lies cold in storage "${storage.name}"`, {
    hint: `\`backupctl verify ${backup.id.slice(0, 8)} --storage ${storage.name}\` asks for a thaw; --quick looks at it without.`,
  });
}

async function checkBytes(
  verifying: Verifying,
  metadata: BackupMetadata,
  ancestors: readonly BackupMetadata[],
  looked: readonly string[],
  findings: Findings,
  report: (problem: Problem) => void,
): Promise<void> {
  const { context, repository, storage, directories, known } = verifying;
  const { session } = context;
  findings.made("checksum_validation", "file_integrity");
  if (metadata.encrypted) findings.made("encryption_validation");
  if (metadata.compressed) findings.made("compression_validation");
  const unread = ancestors.filter(({ storage_path }) => !directories.has(storage_path));
  const progress = startMeter(verifying, metadata, unread);
  const onBytes = (count: number): void => progress.add(count, 0);
  const temporary = await createReadingDirectory(session, repository);
  const pool = new WorkerPool(session.loaded.config.workers);
  try {
    const { packs, hashed } = hashingSource(
      openPackSource(repository, [storage.name], metadata, { signal: session.signal, known }),
      metadata,
      onBytes,
    );
    for (const source of metadata.sources.filter(({ name }) => looked.includes(name))) {
      progress.activity(source.name);
      const { signal } = session;
      await checkSource({ metadata, source, packs, pool, temporaryDirectory: temporary.path, signal, report });
    }
    const own = await checkSums(storage, metadata, { sources: looked, hashed, onBytes, signal: session.signal });
    for (const problem of own) report(problem);
    progress.phase("ancestors");
    for (const ancestor of ancestors) {
      progress.activity(ancestor.id);
      const found = directories.get(ancestor.storage_path) ?? (await checkDirectory(verifying, ancestor, onBytes));
      directories.set(ancestor.storage_path, found);
      for (const problem of found) failForAll(findings, looked, ancestor, problem);
    }
  } finally {
    await progress.finish();
    await pool.close();
    await temporary.dispose();
  }
}

function startMeter(
  { context, request }: Verifying,
  metadata: BackupMetadata,
  unread: readonly BackupMetadata[],
): ProgressMeter {
  const progress = startProgress({
    phases: ["contents", "ancestors"],
    backupId: metadata.id,
    operation: "verify",
    file: undefined,
    clock: context.session.clock,
    onProgress: request.onProgress,
  });
  const bytes = [metadata, ...unread].flatMap(expectedPacks).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  progress.total({ bytes });
  return progress;
}

async function checkDirectory(
  { context, storage }: Verifying,
  ancestor: BackupMetadata,
  onBytes: (count: number) => void,
): Promise<readonly Problem[]> {
  const listing = await checkListing(storage, ancestor);
  const sums = await checkSums(storage, ancestor, { onBytes, signal: context.session.signal });
  return [...listing, ...sums];
}

/** What is wrong with an ancestor is wrong with each source that it has and this backup builds on. */
function failForAll(
  findings: Findings,
  looked: readonly string[],
  ancestor: Pick<LineageMember, "id">,
  { check, text, source }: Problem,
): void {
  findings.damagedAncestors.set(ancestor.id, true);
  if (source !== undefined && !looked.includes(source)) return;
  findings.fail(check, `${text} (in its ancestor ${ancestor.id})`, source);
}
