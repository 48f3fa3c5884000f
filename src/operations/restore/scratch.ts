import type { RestoreOutcome } from "../../engines/engine.ts";
import { BackupctlError } from "../../errors.ts";
import { readStreamIndex } from "../../format/index-reader.ts";
import { realPlace } from "../../platform/files.ts";
import type { OperationContext } from "../context.ts";
import { asCorrupted, type BackupContents, type OpenedSource } from "../repository/backup-contents.ts";
import { openEngine, openEngineOf } from "../session.ts";
import { type ComparedEntry, compareContents } from "./compare.ts";
import { fromSystem } from "./failure.ts";
import type { TreePlace } from "./place.ts";
import { ChosenEntries, newEntriesBudget, type SelectedEntry } from "./selection.ts";
import { streamBytes } from "./stream.ts";
import { stageRestore } from "./tree.ts";

/**
 * Restores one source to a scratch place and compares it with its index: every file is read back from the disk; a database is restored
 * by its engine, with its checks. `destination` is a private directory that does not exist yet or is empty, and the caller's to remove; an
 * engine that restores to names instead makes and removes a place of its own on its server.
 * @throws `BACKUP_CORRUPTED`, and what keeps the scratch place from being made (`INSUFFICIENT_STORAGE`, `RESTORE_FAILED`, `TOOL_MISSING`, …)
 */
export async function restoreSourceTo(
  context: OperationContext,
  contents: BackupContents,
  opened: OpenedSource,
  destination: string,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<RestoreOutcome> {
  const rehearse = opened.shape === "stream" ? rehearseStream : rehearseTree;
  try {
    return await rehearse(context, contents, opened, destination, onBytes);
  } catch (error) {
    const { name } = opened.source;
    const expected = asCorrupted(error, contents, name);
    throw fromSystem(expected, { name, place: destination }) ?? expected;
  }
}

async function rehearseTree(
  context: OperationContext,
  contents: BackupContents,
  opened: OpenedSource,
  destination: string,
  onBytes: (bytes: number) => void,
): Promise<RestoreOutcome> {
  const { signal } = context.session;
  const place: TreePlace = {
    shape: "tree",
    root: await realPlace(destination),
    nameOf: (name) => name,
    folders: [],
    foldersKnown: false,
    leavesOut: undefined,
    staged: true,
  };
  const chosen = new ChosenEntries(opened.indexFile, undefined, newEntriesBudget());
  const { outcome, commit } = await stageRestore({
    contents,
    opened,
    chosen,
    place,
    overwrite: false,
    delete: false,
    damaged: new Set(),
    signal,
    onWritten: onBytes,
    activity: () => undefined,
    // The scratch place goes as a whole.
    sayLeft: () => undefined,
  });
  await commit();
  const compared = await compareContents(allEntries(chosen), destination, signal, () => undefined);
  return { ...outcome, checks: [...outcome.checks, compared] };
}

function* allEntries(chosen: Iterable<SelectedEntry>): Generator<ComparedEntry> {
  for (const { entry } of chosen) yield { entry, name: entry.name, isParent: false };
}

async function rehearseStream(
  { session }: OperationContext,
  contents: BackupContents,
  opened: OpenedSource,
  destination: string,
  onBytes: (bytes: number) => void,
): Promise<RestoreOutcome> {
  const { source } = opened;
  const definition = session.adapters.engines[source.engine];
  const configured = session.loaded.config.sources.some(({ name }) => name === source.name);
  const engine = configured
    ? await openEngine(session, source.name)
    : await openEngineOf(session, source.engine, definition?.unconfigured ?? {});
  if (engine.restore === undefined) {
    throw new BackupctlError("RESTORE_FAILED", `source "${source.name}" can't be restored by engine ${source.engine}`);
  }
  const { entries, inventory } = readStreamIndex(opened.indexFile, opened.source.kind);
  const isName = definition?.toMeans === "name";
  return engine.restore(
    {
      ...(isName ? { rehearsal: true } : { to: `${destination}/` }),
      entries,
      bytes: streamBytes(contents, opened, onBytes),
      sizeBytes: opened.root.size,
      ...(inventory === undefined ? {} : { inventory }),
      dropExisting: false,
      overwrite: false,
    },
    {
      sourceName: source.name,
      signal: session.signal,
      warn: () => undefined,
      activity: () => undefined,
      temporaryDirectory: contents.temporaryDirectory,
    },
  );
}
