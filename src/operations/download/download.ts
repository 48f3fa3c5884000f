import * as path from "node:path";
import { requireFileName } from "../../domain/artifact.ts";
import { BackupctlError } from "../../errors.ts";
import { type BesideFile, openBesideFile, pathExists, refuseExisting } from "../../platform/beside-file.ts";
import type { OperationContext } from "../context.ts";
import { findFrozen, requireThawed } from "../copies/frozen.ts";
import type { DownloadRequest, DownloadResult } from "../operations.ts";
import { type ProgressMeter, startProgress } from "../progress-meter.ts";
import { asCorrupted, type BackupContents, type OpenedSource, openContents } from "../repository/backup-contents.ts";
import { chooseBackup, chooseSources, findCopy } from "../restore/choice.ts";
import { packKeys, streamFacts, treeFacts } from "../restore/facts.ts";
import { fromSystem } from "../restore/failure.ts";
import { requireNotOwn } from "../restore/own-folders.ts";
import { type Selection, selectedEntries, selectedParts, selectionOf } from "../restore/selection.ts";
import { streamBytes } from "../restore/stream.ts";
import { openEngine, openEngineOf, type Session } from "../session.ts";
import { writeTar } from "./tar.ts";

/** An ordinary file that a download makes. */
interface OrdinaryFile {
  readonly opened: OpenedSource;
  readonly name: string;
  /** Of a stream; absent for a tar, whose headers are not counted yet. */
  readonly range: { readonly offset: number; readonly size: number } | undefined;
  /** Bytes of content. */
  readonly bytes: number;
  /** Keys of all packs that it is in. */
  readonly packs: readonly string[];
}

/**
 * Writes a backup's sources as ordinary files: a tar for each file tree, for streams what their engine says they consist of. Every chunk
 * is checked before it is written. All files are written beside their places and then renamed: damage in one leaves none of them.
 * @throws `USAGE` if one stream is to take several files, or the folder is backupctl's own, `TARGET_NOT_EMPTY`, `OBJECT_COLD` when what has to be thawed was asked for, `BACKUP_CORRUPTED`, `BACKUP_NOT_FOUND`, …
 */
export async function downloadBackup(context: OperationContext, request: DownloadRequest): Promise<DownloadResult> {
  if (request.to !== undefined) await requireNotOwn(context.session, path.resolve(request.to));
  const catalog = await context.catalog("read");
  const { backup, warnings: choiceWarnings } = await chooseBackup(context, catalog, request);
  const { copies, metadata, warnings: copyWarnings } = await findCopy(context, backup, request);
  const { sources, warnings } = chooseSources(metadata, request);
  const contents = await openContents(context, copies, metadata);
  const { clock, signal } = context.session;
  const { onProgress } = request;
  const meter = startProgress({
    phases: ["download"],
    backupId: backup.id,
    operation: "download",
    file: undefined,
    clock,
    onProgress,
  });
  try {
    const files = await filesOf(
      context.session,
      contents,
      sources.map(({ name }) => name),
      selectionOf(request),
    );
    const packs = [...new Set(files.flatMap((file) => file.packs))];
    const frozen = await findFrozen(await context.repository(), { storages: copies, keys: packs, signal });
    await requireThawed(frozen, backup.id, context);
    meter.total({ bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) });
    const download: Download = { contents, selection: selectionOf(request), meter, request };
    const { to, write } = request;
    const written =
      to === undefined ? [await toStream(download, files, write)] : await toFolder(download, files, path.resolve(to));
    return { backupId: backup.id, files: written, warnings: [...choiceWarnings, ...copyWarnings, ...warnings] };
  } finally {
    await meter.finish();
    await contents.close();
  }
}

interface Download {
  readonly contents: BackupContents;
  readonly selection: Selection | undefined;
  readonly meter: ProgressMeter;
  readonly request: DownloadRequest;
}

type WrittenFile = DownloadResult["files"][number];

async function filesOf(
  session: Session,
  contents: BackupContents,
  names: readonly string[],
  selection: Selection | undefined,
): Promise<readonly OrdinaryFile[]> {
  const files: OrdinaryFile[] = [];
  for (const name of names) {
    try {
      const opened = await contents.source(name);
      files.push(
        ...(opened.shape === "tree"
          ? await tarOf(session, opened, selection)
          : await partsOf(session, opened, selection)),
      );
    } catch (error) {
      throw asCorrupted(error, contents, name);
    }
  }
  if (files.length === 0) {
    throw new BackupctlError("USAGE", `nothing in backup ${contents.metadata.id} is left by --include and --exclude`, {
      hint: `See what it holds: \`backupctl show ${contents.metadata.id}\`.`,
    });
  }
  return withDistinctNames(files);
}

async function tarOf(
  { signal }: Session,
  opened: OpenedSource,
  selection: Selection | undefined,
): Promise<readonly OrdinaryFile[]> {
  const { bytes, entries, packs } = await treeFacts(selectedEntries(opened.indexFile, selection), [], signal);
  if (entries === 0 && selection !== undefined) return [];
  return [{ opened, name: `${opened.source.name}.tar`, range: undefined, bytes, packs: packKeys(opened, packs) }];
}

async function partsOf(
  session: Session,
  opened: OpenedSource,
  selection: Selection | undefined,
): Promise<readonly OrdinaryFile[]> {
  const { source } = opened;
  const { index, packs } = streamFacts(opened);
  const { entries, size } = index;
  const selected = selectedParts(entries, selection);
  if (selected.length === 0 && selection !== undefined) return [];
  const configured = session.loaded.config.sources.some(({ name }) => name === source.name);
  const unconfigured = session.adapters.engines[source.engine]?.unconfigured ?? {};
  const engine = configured
    ? await openEngine(session, source.name)
    : await openEngineOf(session, source.engine, unconfigured);
  const whole = { name: `${source.name}.${source.kind}`, offset: 0, size };
  const parts = engine.download?.files(selected, size) ?? [whole];
  return parts.map(({ name, offset, size: bytes }) => ({
    opened,
    name: requireFileName(name),
    range: { offset, size: bytes },
    bytes,
    packs: packKeys(opened, packs),
  }));
}

function withDistinctNames(files: readonly OrdinaryFile[]): readonly OrdinaryFile[] {
  const counts = new Map<string, number>();
  for (const { name } of files) counts.set(name, (counts.get(name) ?? 0) + 1);
  return files.map((file) =>
    (counts.get(file.name) ?? 0) > 1 ? { ...file, name: `${file.opened.source.name}.${file.name}` } : file,
  );
}

async function toStream(
  download: Download,
  files: readonly OrdinaryFile[],
  write: DownloadRequest["write"],
): Promise<WrittenFile> {
  const [file, ...others] = files;
  if (file === undefined || others.length > 0 || write === undefined) {
    throw new BackupctlError(
      "USAGE",
      `backup ${download.contents.metadata.id} gives ${files.length} files: ${files.map(({ name }) => name).join(", ")}`,
      {
        hint: "Give a folder with --to DIR, or choose one with --source or --include.",
      },
    );
  }
  const source = file.opened.source.name;
  try {
    return { source, path: "-", sizeBytes: await writeFile(download, file, write) };
  } catch (error) {
    throw fromSystem(error, { name: source, place: "standard output" }) ?? error;
  }
}

async function toFolder(
  download: Download,
  files: readonly OrdinaryFile[],
  folder: string,
): Promise<readonly WrittenFile[]> {
  const { overwrite } = download.request;
  const placed = files.map((file) => ({ file, source: file.opened.source.name, place: path.join(folder, file.name) }));
  const written: WrittenFile[] = [];
  const begun: BesideFile[] = [];
  let name = "";
  try {
    for (const { place } of placed) if (!overwrite && (await pathExists(place))) throw refuseExisting(place);
    for (const { file, source, place } of placed) {
      name = source;
      const beside = await openBesideFile(place, overwrite);
      begun.push(beside);
      const sizeBytes = await writeFile(download, file, (bytes) => beside.write(bytes));
      await beside.complete();
      written.push({ source, path: place, sizeBytes });
    }
    for (const beside of begun) await beside.commit();
  } catch (error) {
    throw fromSystem(error, { name, place: folder }) ?? error;
  } finally {
    // The first may have made the folder that the others lie in.
    for (const beside of begun.toReversed()) await beside.discard();
  }
  return written;
}

/** Returns how many bytes were written. */
async function writeFile(
  download: Download,
  file: OrdinaryFile,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<number> {
  const { contents, selection, meter } = download;
  const { opened, range } = file;
  meter.activity(file.name);
  let size = 0;
  const counted = (bytes: Uint8Array): Promise<void> => {
    size += bytes.length;
    return write(bytes);
  };
  try {
    if (range === undefined) {
      await writeTar({
        contents,
        opened,
        selection,
        write: counted,
        onRead: (bytes, count) => meter.add(bytes, count),
      });
    } else {
      for await (const piece of streamBytes(contents, opened, (bytes) => meter.add(bytes, 0), range))
        await counted(piece);
    }
  } catch (error) {
    throw asCorrupted(error, contents, opened.source.name);
  }
  return size;
}
