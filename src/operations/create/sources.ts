import type { Catalog } from "../../catalog/catalog.ts";
import type { SourceConfig } from "../../config/config.ts";
import type { BackupMetadata, SourceMetadata } from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { isGoodSource } from "../../domain/known-backup.ts";
import type { DumpFacts, StreamDump, TreeDump } from "../../engines/engine.ts";
import { isBackupctlError, messageOf } from "../../errors.ts";
import { UnreadableParent } from "../../format/parent-index.ts";
import {
  type RunSettings,
  type SourceCache,
  type SourceSettings,
  sourceCache,
  type WrittenArtifacts,
  writeStreamSource,
  writeTreeSource,
} from "../../format/source-writer.ts";
import { printable } from "../../platform/redact.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import type { SourceResult } from "../operations.ts";
import type { ProgressMeter } from "../progress-meter.ts";
import { copiesOf } from "../repository/copies.ts";
import { parentCache } from "../repository/index-cache.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnremovable } from "../repository/unremovable.ts";
import { openEngine, type Session } from "../session.ts";
import type { BackupObjects } from "./backup-objects.ts";
import { PATIENCE_MS } from "./copy-in-progress.ts";
import type { PreparedCreate } from "./plan.ts";

export interface SourceRun {
  readonly session: Session;
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly prepared: PreparedCreate;
  readonly run: RunSettings;
  readonly objects: BackupObjects;
  readonly progress: ProgressMeter;
  readonly indexDirectory: string;
  readonly tables: readonly string[];
  readonly warn: (message: string) => void;
}

export interface SourceOutcome {
  readonly result: SourceResult;
  readonly metadata: SourceMetadata;
  /** Absent when the source failed. */
  readonly artifacts: WrittenArtifacts | undefined;
}

interface Written {
  readonly artifacts: WrittenArtifacts;
  readonly facts: DumpFacts;
  readonly counts: Readonly<Record<string, number>>;
  readonly unreadable: readonly string[];
  readonly warnings: readonly string[];
}

/** Backs one source up. A failure of the source is its outcome; what it had stored is gone then. Interruption ends the run. */
export async function createSource(context: SourceRun, source: SourceConfig): Promise<SourceOutcome> {
  const { session, objects } = context;
  const started = session.clock.monotonicMs();
  const seconds = (): number => round((session.clock.monotonicMs() - started) / 1000);
  let kind = "none";
  const writeOnce = async (parent: SourceCache | undefined): Promise<Written> => {
    const engine = await openEngine(session, source.name);
    const dump = await engine.dump({
      sourceName: source.name,
      signal: session.signal,
      warn: (message) => context.warn(`source "${source.name}": ${message}`),
      activity: (item) => context.progress.activity(item),
      temporaryDirectory: context.run.temporaryDirectory,
      ...(context.tables.length === 0 ? {} : { tables: context.tables }),
    });
    kind = dump.kind;
    return writeDump(context, source, dump, parent);
  };
  try {
    const parent = await findParent(context, source);
    const written = await writeOnce(parent).catch(async (error: unknown) => {
      if (!(error instanceof UnreadableParent)) throw error;
      await withdraw(context, source, error);
      return writeOnce(undefined);
    });
    tellWarnings(context, source, written.warnings);
    return succeeded(context, source, kind, written, seconds());
  } catch (error) {
    if (session.signal.aborted || isFatal(error)) throw error;
    const left = `what source "${source.name}" had stored in ${objects.directory} before it failed`;
    await objects.leaveOut(
      (name) => name.startsWith(`${source.name}.`),
      ({ message }) => context.warn(`${left} stays there: ${message}`),
    );
    return failed(source, kind, error, seconds());
  }
}

/** What a parent's index says can't be used: the source is begun anew, as if there were none. */
async function withdraw(context: SourceRun, { name }: SourceConfig, { message }: UnreadableParent): Promise<void> {
  const { objects, warn, indexDirectory, prepared } = context;
  const parent = prepared.decision.parent?.metadata;
  const index = parent?.sources.find((source) => source.name === name)?.index?.name ?? "index";
  const unread = `${parent?.storage_path}/${index} can't be read`;
  try {
    await objects.takeBack(`${name}.`, PATIENCE_MS);
  } catch (cause) {
    if (!isUnremovable(cause)) throw cause;
    // The names of what is stored anew are taken.
    throw new NoPlaceForAnew(`${unread}, so a full backup is made in a place of its own: ${message}`, { cause });
  }
  await removeTree(sourceCache(indexDirectory, name).indexFile);
  warn(`${unread}, so all of source "${name}" is stored anew: ${message}`);
}

/** A source has to be stored anew, and the storage lets go of nothing that was stored of it. */
export class NoPlaceForAnew extends Error {
  override readonly name = "NoPlaceForAnew";
}

/** A tree can have as many as it has files. */
const MOST_WARNINGS = 50;

function tellWarnings({ warn }: SourceRun, { name }: SourceConfig, warnings: readonly string[]): void {
  for (const warning of warnings.slice(0, MOST_WARNINGS)) warn(`source "${name}": ${warning}`);
  if (warnings.length > MOST_WARNINGS) warn(`source "${name}": and ${warnings.length - MOST_WARNINGS} more warnings`);
}

/** What makes the whole run pointless: the other sources would meet it too. */
function isFatal(error: unknown): boolean {
  return (
    isBackupctlError(error, "STORAGE_FAILED") ||
    isBackupctlError(error, "STORAGE_DENIED") ||
    isBackupctlError(error, "CLOCK_SKEWED") ||
    isBackupctlError(error, "INSUFFICIENT_STORAGE") ||
    isBackupctlError(error, "STORAGE_NOT_FOUND") ||
    isBackupctlError(error, "OBJECT_CONFLICT") ||
    isBackupctlError(error, "INTERRUPTED") ||
    (error instanceof Error && error.name === "DamageError") ||
    !isBackupctlError(error)
  );
}

async function writeDump(
  context: SourceRun,
  source: SourceConfig,
  dump: StreamDump | TreeDump,
  parent: SourceCache | undefined,
): Promise<Written> {
  const { progress } = context;
  const settings: SourceSettings = {
    name: source.name,
    kind: dump.kind,
    parent,
    cache: sourceCache(context.indexDirectory, source.name),
    onBytes: (count) => {
      // Thrown into the pipeline, whatever it is just doing: an interrupted run ends here.
      context.session.signal.throwIfAborted();
      progress.add(count, 0);
    },
  };
  if (dump.shape === "stream") {
    const { artifacts, facts } = await writeStreamSource(dump, context.run, settings);
    return { artifacts, facts, counts: facts.counts, unreadable: facts.unreadable, warnings: facts.warnings };
  }
  const unreadable: string[] = [];
  const changed: string[] = [];
  const { artifacts, totals } = await writeTreeSource(dump.nodes, context.run, settings, {
    onEntry: (node) => {
      context.session.signal.throwIfAborted();
      progress.add(0, 1);
      progress.activity(`/${node.name.toString("utf8")}`);
    },
    onUnreadable: (name, errno) => unreadable.push(`/${printable(name)} (${errno})`),
    onChanged: (name) => changed.push(`/${printable(name)} changed while it was read`),
  });
  const facts = await dump.finish();
  const before = totals.files + totals.symlinks === 0 ? heldBefore(context, source) : undefined;
  const emptied = before === undefined ? [] : [`it has no file now, and ${before}: is its file system mounted?`];
  // Nobody has to read warnings: the run must not look like one that has all.
  if (before !== undefined) unreadable.push(`any file: it has none, and ${before}`);
  const counts = { ...facts.counts, files: totals.files, directories: totals.directories, symlinks: totals.symlinks };
  return {
    artifacts,
    facts,
    counts,
    unreadable: [...facts.unreadable, ...unreadable],
    warnings: [...facts.warnings, ...changed, ...emptied],
  };
}

/** What its newest backup has of a source that has nothing now, as a tree whose file system is not mounted. `undefined`: that had nothing either. */
function heldBefore({ catalog }: SourceRun, { name }: SourceConfig): string | undefined {
  const status = ["completed", "completed_with_errors", "partial"];
  const sourceIn = (metadata: BackupMetadata | undefined) =>
    metadata?.sources.find((source) => source.name === name && isGoodSource(source));
  const { backups } = catalog.list({ source: name, status, limit: 20 });
  const last = backups.find(({ metadata }) => sourceIn(metadata) !== undefined);
  const { files = 0, symlinks = 0 } = sourceIn(last?.metadata)?.counts ?? {};
  return files + symlinks === 0 ? undefined : `had ${count(files + symlinks, "file")} in backup ${last?.id}`;
}

async function findParent(context: SourceRun, source: SourceConfig) {
  const { parent } = context.prepared.decision;
  if (parent === undefined) return undefined;
  const { session, repository, catalog, run, warn } = context;
  const copies = copiesOf(session, catalog.get(parent.metadata.id) ?? { copies: [] });
  return parentCache(repository, catalog, run.pool, parent.metadata, source.name, copies, warn);
}

function succeeded(
  { tables }: SourceRun,
  source: SourceConfig,
  kind: string,
  written: Written,
  seconds: number,
): SourceOutcome {
  const { artifacts, counts, unreadable, warnings, facts } = written;
  const status = unreadable.length === 0 ? "completed" : "completed_with_errors";
  return {
    artifacts,
    result: {
      name: source.name,
      status,
      sizeBytes: artifacts.size,
      newBytes: artifacts.newSize,
      storedBytes: artifacts.storedSize,
      seconds,
      counts,
      unreadable,
      error: undefined,
    },
    metadata: {
      ...describe(source, kind),
      status,
      size: artifacts.size,
      new_size: artifacts.newSize,
      stored_size: artifacts.storedSize,
      counts,
      versions: facts.versions,
      duration_seconds: seconds,
      unreadable: unreadable.length,
      ...(tables.length === 0 ? {} : { narrowed: true as const }),
      // File names stay out of metadata.json, which is not encrypted: how many, not which.
      warnings: warnings.length === 0 ? [] : [count(warnings.length, "warning")],
      data: artifacts.data,
      index: artifacts.index,
      root: artifacts.root,
    },
  };
}

function failed(source: SourceConfig, kind: string, error: unknown, seconds: number): SourceOutcome {
  const code = isBackupctlError(error) ? error.code : "SOURCE_FAILED";
  const hint = isBackupctlError(error) ? error.hint : undefined;
  return {
    artifacts: undefined,
    result: {
      name: source.name,
      status: "failed",
      sizeBytes: 0,
      newBytes: 0,
      storedBytes: 0,
      seconds,
      counts: {},
      unreadable: [],
      error: { code, message: messageOf(error), ...(hint === undefined ? {} : { hint }) },
    },
    metadata: {
      ...describe(source, kind),
      status: "failed",
      error: { code, message: `source "${source.name}" failed` },
      size: 0,
      new_size: 0,
      stored_size: 0,
      counts: {},
      versions: {},
      duration_seconds: seconds,
      unreadable: 0,
      warnings: [],
    },
  };
}

function describe(source: SourceConfig, kind: string) {
  const { name, engine, component, category } = source;
  return { name, engine, kind, component, ...(category === undefined ? {} : { category }) };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
