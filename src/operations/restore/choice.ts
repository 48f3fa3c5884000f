import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { BackupId, BackupMetadata, SourceMetadata } from "../../domain/backup.ts";
import { durationMs } from "../../domain/duration.ts";
import { isGood, isGoodSource, isKnownDamaged, isWholeSource } from "../../domain/known-backup.ts";
import { chooseRestorePoint, type RestorePoint } from "../../domain/restore-point.ts";
import { parseInstant } from "../../domain/timestamp.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import type { RestorePlan, RestoreRequest } from "../operations.ts";
import { readAsKnown, readCommitted } from "../repository/committed-backup.ts";
import { copiesOf, isWithoutCopy, noCopyIn, notUsed, readAnyCopy } from "../repository/copies.ts";
import { DamagedCopies } from "../repository/damaged-copies.ts";
import type { ReadableStorage } from "../repository/read-object.ts";
import { findReferenced } from "../repository/references.ts";
import { requireTrusted } from "../repository/trust.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import { passedOverWarning, requireReadable } from "../repository/unreadable-backups.ts";

type BackupChoice = Pick<RestoreRequest, "reference" | "components" | "sources"> &
  Partial<Pick<RestoreRequest, "latest" | "type" | "timestamp" | "maxGapMs" | "skipDamaged">>;

interface ChosenBackup {
  readonly backup: CatalogBackup;
  readonly gap: RestorePlan["gap"];
  readonly warnings: readonly string[];
}

/**
 * Which backup a restore or download means: the one named, or the newest good one (at or before `--timestamp`) that holds what is wanted.
 * @throws `BACKUP_NOT_FOUND`, `BACKUP_CORRUPTED`, `COMPONENT_NOT_FOUND`, `SOURCE_NOT_FOUND`, `USAGE`; the key's problem where none could be proven for want of it
 */
export async function chooseBackup(
  context: OperationContext,
  catalog: Catalog,
  wanted: BackupChoice,
): Promise<ChosenBackup> {
  const { reference, timestamp } = wanted;
  if (reference !== undefined && reference !== "latest") {
    if (timestamp !== undefined || wanted.latest === true || wanted.type !== undefined) {
      throw new BackupctlError(
        "USAGE",
        `backup ${reference} is named, and --timestamp, --latest or --type choose another way`,
        {
          hint: "Give the id, or the options, not both.",
        },
      );
    }
    return { backup: findReferenced(catalog, reference), gap: undefined, warnings: [] };
  }
  const at = timestamp === undefined ? undefined : parseInstant(timestamp);
  const all = catalog.list({}).backups;
  const components = componentsOf(wanted, all, context);
  const holding = all.filter((backup) => components.every((name) => holds(backup, name)));
  const { sources } = wanted;
  requireKnown(sources, all, context);
  const type = wanted.type === "full" ? "full" : undefined;
  try {
    // Who wants what is sound of a damaged backup wants the newest.
    const isDamaged = (id: BackupId): boolean => wanted.skipDamaged !== true && isDamagedIn(catalog, id);
    const point = chooseRestorePoint({ backups: holding, at, sources, type, isDamaged });
    const warnings = [...passedOver(all, point.backup, at), ...onDamageWarnings(point)];
    if (timestamp === undefined || point.gapMs === undefined) return { backup: point.backup, gap: undefined, warnings };
    const allowedMs = wanted.maxGapMs ?? durationMs(context.session.loaded.config.restore.maxGap);
    const gap = { seconds: point.gapMs / 1_000, exceeds: point.gapMs > allowedMs, asked: timestamp };
    return { backup: point.backup, gap, warnings };
  } catch (error) {
    if (isBackupctlError(error, "BACKUP_NOT_FOUND")) {
      for (const unreadable of all.filter((backup) => isUnreadable(backup, at))) requireReadable(unreadable);
      await explainNoGood(context, holding);
    }
    throw error;
  }
}

function isDamagedIn(catalog: Catalog, id: BackupId): boolean {
  const known = catalog.get(id);
  return known !== undefined && isKnownDamaged(known);
}

function onDamageWarnings({ backup, onDamage }: RestorePoint<CatalogBackup>): readonly string[] {
  return onDamage.map(({ id, damaged }) => {
    const why = damaged === id ? "it is known to be damaged" : `${damaged}, which it builds on, is known to be damaged`;
    if (id !== backup.id) return `backup ${id} is passed over, since ${why}`;
    return `backup ${id} may not come back whole: ${why}, and there is no other without damage`;
  });
}

/** Newer ones than the chosen that would have been looked at, could they be read or had they passed. */
function passedOver(all: readonly CatalogBackup[], chosen: CatalogBackup, at: Date | undefined): readonly string[] {
  // Of the time of one that can't be read only the second is known.
  const isNewer = ({ timestamp }: CatalogBackup): boolean => timestamp.slice(0, 19) >= chosen.timestamp.slice(0, 19);
  const newer = all.filter((backup) => backup.id !== chosen.id && isBefore(backup, at) && isNewer(backup));
  const warnings = newer.flatMap((backup) => {
    const { id, status, notes } = backup;
    if (status === "unreadable") return [passedOverWarning(backup)];
    if (notes.verified?.passed !== false || status === "deleting") return [];
    return [`backup ${id} is passed over, since its verification of ${notes.verified.at} failed`];
  });
  return [...warnings, ...unprovenWarnings(newer)];
}

/** There may be many: those of another host with a key of its own. */
function unprovenWarnings(newer: readonly CatalogBackup[]): readonly string[] {
  const [first, ...others] = newer.filter((backup) => isGood({ ...backup, trusted: true }) && !backup.trusted);
  if (first === undefined) return [];
  const who = others.length === 0 ? `backup ${first.id} is` : `backup ${first.id} and ${others.length} more are`;
  return [`${who} passed over, since no configured key proves ${others.length === 0 ? "it" : "them"}`];
}

function isBefore({ timestamp }: CatalogBackup, at: Date | undefined): boolean {
  return at === undefined || new Date(timestamp) <= at;
}

function isUnreadable(backup: CatalogBackup, at: Date | undefined): boolean {
  return backup.status === "unreadable" && isBefore(backup, at);
}

/** `--type` other than full means that component's part of whatever backup holds it. */
function componentsOf(
  wanted: BackupChoice,
  all: readonly CatalogBackup[],
  context: OperationContext,
): readonly string[] {
  const { type, components } = wanted;
  const named = type === undefined || type === "full" ? components : [type, ...components];
  if (named.length === 0) return [];
  const configured = context.session.loaded.config.sources.map(({ component }) => component);
  const known = new Set([
    ...configured,
    ...all.flatMap(({ metadata }) => metadata?.sources.map(({ component }) => component) ?? []),
  ]);
  return named.map((name) => {
    const canonical = name === "configurations" && !known.has(name) ? "configuration" : name;
    if (known.has(canonical)) return canonical;
    if (name === type) {
      throw new BackupctlError("INVALID_BACKUP_TYPE", `"${name}" is not a backup type`, {
        hint: `Use one of ${["full", ...known].join(", ")}.`,
      });
    }
    throw new BackupctlError("COMPONENT_NOT_FOUND", `no backup holds component "${name}"`, {
      hint: known.size === 0 ? "There is no backup yet: `backupctl list`." : `Use one of ${[...known].join(", ")}.`,
    });
  });
}

/** A misspelt name would be told that there is no good backup. */
function requireKnown(sources: readonly string[], all: readonly CatalogBackup[], context: OperationContext): void {
  const configured = context.session.loaded.config.sources.map(({ name }) => name);
  if (sources.every((name) => configured.includes(name))) return;
  const held = all.flatMap(({ metadata }) => metadata?.sources.map(({ name }) => name) ?? []);
  const known = new Set([...configured, ...held]);
  const unknown = sources.find((name) => !known.has(name));
  if (unknown === undefined) return;
  throw new BackupctlError("SOURCE_NOT_FOUND", `no backup holds source "${unknown}"`, {
    hint: known.size === 0 ? "There is no backup yet: `backupctl list`." : `Use one of ${[...known].join(", ")}.`,
  });
}

function holds(backup: CatalogBackup, component: string): boolean {
  return backup.metadata?.sources.some((source) => source.component === component && isWholeSource(source)) ?? false;
}

/** Backups are there but none counts: then it must be said why. @throws what keeps the newest from being used, a missing key or damage */
export async function explainNoGood(context: OperationContext, backups: readonly CatalogBackup[]): Promise<void> {
  const committed = backups.filter(({ committed, status }) => committed && status !== "deleting");
  const [newest] = committed;
  if (newest === undefined || committed.some(isGood)) return;
  await findCopy(context, newest, { allowUnencrypted: undefined });
  const { id, notes } = newest;
  if (notes.verified?.passed !== false) return;
  throw new BackupctlError("BACKUP_CORRUPTED", `backup ${id} failed its verification of ${notes.verified.at}`, {
    hint: `\`backupctl verify ${id}\` names what is damaged, and mends it from another copy with --repair. \`backupctl restore ${id} --skip-damaged\` brings back the rest.`,
  });
}

interface FoundCopy {
  /** The names of the storages to read from: first the one that the metadata come from, then those that may have what it lacks. */
  readonly copies: readonly [string, ...string[]];
  readonly metadata: BackupMetadata;
  readonly warnings: readonly string[];
}

type CopyRequest = Pick<RestoreRequest, "allowUnencrypted"> & Partial<Pick<RestoreRequest, "skipDamaged">>;

/**
 * The best copy of the backup that can be read and is proven. With `skipDamaged` and none, one that the catalog's metadata open.
 * @throws what `requireTrusted` throws, `BACKUP_NOT_FOUND` if no storage has it
 */
export async function findCopy(
  context: OperationContext,
  backup: CatalogBackup,
  request: CopyRequest,
): Promise<FoundCopy> {
  const { session } = context;
  const repository = await context.repository();
  const names = copiesOf(session, backup);
  const failures = new Map<string, BackupctlError>();
  const damaged = new DamagedCopies();
  const onFailure = (name: string, error: BackupctlError): void => {
    failures.set(name, error);
    if (error.code === "BACKUP_CORRUPTED" && !isUnreachable(error)) damaged.add(backup.id, name);
  };
  const read = async (storage: ReadableStorage): Promise<FoundCopy> => {
    const stored = await readCommitted(repository, storage, backup).catch((error: unknown) => {
      const isNone = isBackupctlError(error, "BACKUP_NOT_FOUND") && isWithoutCopy(backup, storage.name);
      throw isNone ? noCopyIn(storage.name, backup) : error;
    });
    requireTrusted(session, stored, request.allowUnencrypted);
    const warnings = [...failures].map(([name, error]) => notUsed(backup.id, name, error));
    return { copies: startingWith(storage.name, names), metadata: stored.metadata, warnings };
  };
  try {
    return await readAnyCopy(repository, names, read, onFailure);
  } catch (error) {
    const salvaged = request.skipDamaged === true ? await salvageCopy(context, backup, request, failures) : undefined;
    if (salvaged === undefined) throw error;
    return salvaged;
  } finally {
    await damaged.remember(context);
  }
}

/** The first copy of which nothing but metadata.json is known to be damaged. */
async function salvageCopy(
  { session, repository: openRepository }: OperationContext,
  backup: CatalogBackup,
  { allowUnencrypted }: CopyRequest,
  failures: ReadonlyMap<string, BackupctlError>,
): Promise<FoundCopy | undefined> {
  const repository = await openRepository();
  for (const [name, error] of failures) {
    if (error.code !== "BACKUP_CORRUPTED") continue;
    const known = await readAsKnown(repository, await repository.storage(name), backup);
    if (known === undefined) continue;
    requireTrusted(session, known, allowUnencrypted);
    const instead = `${error.message}; what the catalog knows of backup ${backup.id} is used instead`;
    const others = [...failures].filter(([other]) => other !== name);
    const warnings = others.map(([other, failure]) => notUsed(backup.id, other, failure));
    const copies = startingWith(name, copiesOf(session, backup));
    return { copies, metadata: known.metadata, warnings: [instead, ...warnings] };
  }
  return undefined;
}

function startingWith(name: string, names: readonly string[]): readonly [string, ...string[]] {
  return [name, ...names.filter((other) => other !== name)];
}

interface ChosenSources {
  readonly sources: readonly SourceMetadata[];
  readonly warnings: readonly string[];
}

/** The sources of a backup that are wanted. @throws `SOURCE_NOT_FOUND`, `COMPONENT_NOT_FOUND` */
export function chooseSources(
  metadata: BackupMetadata,
  wanted: { readonly components: readonly string[]; readonly sources: readonly string[] },
): ChosenSources {
  const { id, sources } = metadata;
  const names = sources.map(({ name }) => name).join(", ");
  for (const name of wanted.sources) {
    if (sources.some((source) => source.name === name)) continue;
    throw new BackupctlError("SOURCE_NOT_FOUND", `backup ${id} does not hold source "${name}"`, {
      hint: `It holds ${names}.`,
    });
  }
  const components = wanted.components.map((name) => {
    const found = componentNamed(sources, name);
    if (found !== undefined) return found;
    const held = [...new Set(sources.map(({ component }) => component))].join(", ");
    throw new BackupctlError("COMPONENT_NOT_FOUND", `backup ${id} does not hold component "${name}"`, {
      hint: `It holds ${held}.`,
    });
  });
  const isIn = ({ component }: SourceMetadata): boolean => components.length === 0 || components.includes(component);
  const named = sources.filter(({ name }) => wanted.sources.length === 0 || wanted.sources.includes(name));
  const leftOut = wanted.sources.length === 0 ? undefined : named.find((source) => !isIn(source));
  if (leftOut !== undefined) {
    throw new BackupctlError("SOURCE_NOT_FOUND", `source "${leftOut.name}" is left out by --type or --component`, {
      hint: `Leave those out, or name ${leftOut.component}, its component, too.`,
    });
  }
  const chosen = named.filter(isIn);
  const good = chosen.filter(isGoodSource);
  const failed = chosen.filter((source) => !isGoodSource(source));
  const [missing] = failed.filter(({ name }) => wanted.sources.includes(name));
  if (missing !== undefined || good.length === 0) {
    const name = missing?.name ?? failed[0]?.name ?? names;
    throw new BackupctlError(
      "SOURCE_NOT_FOUND",
      `source "${name}" failed when backup ${id} was made, which does not hold it`,
      {
        hint: `Restore it from the newest backup that does: \`backupctl restore --latest --source ${name}\`.`,
      },
    );
  }
  return { sources: good, warnings: [...failed.map(failedWarning), ...good.flatMap(incompleteWarning)] };
}

/** The component that a name means here: `configurations` is `configuration`. `undefined` where none has it. */
export function componentNamed(sources: readonly SourceMetadata[], name: string): string | undefined {
  return [name, name.replace(/s$/, "")].find((known) => sources.some(({ component }) => component === known));
}

function failedWarning({ name, error }: SourceMetadata): string {
  const reason = error === undefined ? "" : ` (${error.message})`;
  return `source "${name}" failed when this backup was made${reason}; it is not restored`;
}

function incompleteWarning({ name, unreadable, narrowed }: SourceMetadata): readonly string[] {
  return [
    ...(unreadable === 0
      ? []
      : [`source "${name}" is incomplete: ${unreadable} entries could not be read when it was made`]),
    ...(narrowed === undefined ? [] : [`source "${name}" holds only the tables that --table named when it was made`]),
  ];
}
