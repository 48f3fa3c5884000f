import { count } from "../../domain/count.ts";
import type { RestoreOutcome } from "../../engines/engine.ts";
import { BackupctlError } from "../../errors.ts";
import { ContentWriter, type FileContents, type Written } from "../../format/content-writer.ts";
import type { TreeEntry } from "../../format/index-reader.ts";
import { type EntryMetadata, ownerOnThisSystem, type Shortfalls } from "../../platform/tree/entry-metadata.ts";
import { removeExtra } from "../../platform/tree/folder-contents.ts";
import { mergesNames } from "../../platform/tree/one-name.ts";
import { stageTree, sweepStaging } from "../../platform/tree/staged-tree.ts";
import { type OpenTreeFile, openTreeTarget, type TreeTarget } from "../../platform/tree/tree-writer.ts";
import { withTurns } from "../../platform/turns.ts";
import { contains } from "../../platform/walk.ts";
import type { BackupContents, OpenedSource } from "../repository/backup-contents.ts";
import { compareTree, STRUCTURE_CHECK } from "./compare.ts";
import { requireDistinctNames } from "./distinct-names.ts";
import { HardLinkGroups } from "./facts.ts";
import { DataLayout } from "./layout.ts";
import type { TreePlace } from "./place.ts";
import { type PlacedEntry, placedEntries, placedNames } from "./placed-entries.ts";
import { findExtras } from "./plan.ts";
import type { ChosenEntries } from "./selection.ts";
import { WritingFront } from "./writing-front.ts";

export interface TreeRestore {
  readonly contents: BackupContents;
  readonly opened: OpenedSource;
  readonly chosen: ChosenEntries;
  readonly place: TreePlace;
  readonly overwrite: boolean;
  readonly delete: boolean;
  /** Names (latin1) of entries that are left out because they are damaged. */
  readonly damaged: ReadonlySet<string>;
  readonly signal: AbortSignal;
  readonly onWritten: (bytes: number, files: number) => void;
  readonly activity: (item: string) => void;
  /** What was made for a tree that failed could not be removed. */
  readonly sayLeft: (error: unknown) => void;
}

/**
 * Writes a file tree below `root`. Order of effects: contents and links, outside of a staged place each beside its own and renamed → what
 * `--delete` removes → directories, deepest first, and checks of every entry → exact times. Each file is the old one or the new one at any moment.
 */
export async function restoreTree(job: TreeRestore, root: string = job.place.root): Promise<RestoreOutcome> {
  const swept = root === job.place.root && root !== "/" ? await sweepStaging(root) : [];
  const policy = { overwrite: job.overwrite, removeDirectories: job.delete, isPrivate: job.place.staged };
  const tree = openTreeTarget(root, policy);
  try {
    const outcome = await new TreeRun(job, tree).run();
    return { ...outcome, warnings: [...swept, ...outcome.warnings] };
  } finally {
    tree.close();
  }
}

/** A tree that is complete and checked, and not at its place yet. */
interface StagedRestore {
  readonly outcome: RestoreOutcome;
  commit(): Promise<void>;
  /** Leaves nothing; does nothing after `commit`. */
  discard(): Promise<void>;
}

/** Restores a file tree to a private folder, for a place that is missing or empty, and stays so until `commit`. Leaves nothing if it fails. */
export async function stageRestore(job: TreeRestore): Promise<StagedRestore> {
  const stage = await stageTree(job.place.root);
  try {
    // What is made anew is as its root is.
    if (mergesNames(stage.root)) await requireDistinctNames(stage.root, placedNames(job), job.signal);
    const outcome = await restoreTree(job, stage.root);
    const warnings = [...stage.warnings, ...outcome.warnings];
    return { outcome: { ...outcome, warnings }, commit: stage.commit, discard: stage.discard };
  } catch (error) {
    await stage.discard().catch((left: unknown) => job.sayLeft(left));
    throw error;
  }
}

class FileInProgress implements FileContents {
  readonly name: Buffer;
  readonly entry: TreeEntry;
  readonly metadata: EntryMetadata;
  /** `undefined` as long as it is not this thread that makes it. */
  opened: OpenTreeFile | undefined;
  readonly #begin: (file: FileInProgress) => OpenTreeFile;
  #layout: DataLayout | undefined;

  constructor(placed: PlacedEntry, metadata: EntryMetadata, begin: (file: FileInProgress) => OpenTreeFile) {
    this.name = placed.name;
    this.entry = placed.entry;
    this.metadata = metadata;
    this.#begin = begin;
  }

  get size(): number {
    return this.entry.size;
  }

  get chunks(): TreeEntry["chunks"] {
    return this.entry.chunks;
  }

  get hasHoles(): boolean {
    return this.entry.holes.length > 0;
  }

  take(length: number): ReturnType<FileContents["take"]> {
    this.#layout ??= new DataLayout(this.entry.holes);
    return this.#layout.take(length);
  }

  open(): number {
    this.opened ??= this.#begin(this);
    return this.opened.fd;
  }
}

/** A directory that its owner can't search, unless that is root. */
function isClosedToUs({ type, mode }: TreeEntry): boolean {
  return type === "directory" && (mode & 0o100) === 0 && process.geteuid?.() !== 0;
}

class TreeRun {
  readonly #job: TreeRestore;
  readonly #tree: TreeTarget;
  /** Parents that this run made (latin1). */
  readonly #made = new Set<string>();
  readonly #ownerOf = ownerOnThisSystem();
  #files = 0;
  #bytes = 0;
  #hasLinks = false;
  readonly #front = new WritingFront();

  constructor(job: TreeRestore, tree: TreeTarget) {
    this.#job = job;
    this.#tree = tree;
  }

  async run(): Promise<RestoreOutcome> {
    const { contents, opened, place, signal } = this.#job;
    if (place.root !== "/") this.#tree.sweep(Buffer.alloc(0));
    const writer = new ContentWriter(contents.packs, contents.pool, opened.root.objects, this.#tree.share());
    const behind = place.staged ? this.#compareBehind() : undefined;
    try {
      for await (const group of writer.write(this.#contents())) {
        signal.throwIfAborted();
        for (const written of group) this.#note(written);
        await this.#tree.timesTaken();
      }
      this.#front.end();
    } finally {
      this.#front.stop();
      await behind?.catch(() => undefined);
    }
    if (this.#hasLinks) await this.#linkAll();
    const removed = this.#job.delete ? await this.#removeExtras() : 0;
    const checks =
      behind !== undefined && this.#filesAreSeen(writer.shortfalls)
        ? await behind
        : await compareTree(this.#finishing(), this.#tree, this.#made, signal);
    await this.#tree.settle();
    const missing = checks.find(({ name, passed }) => name === STRUCTURE_CHECK && !passed);
    if (missing !== undefined) throw this.#notAsWritten(missing.detail);
    const removals =
      removed === 0 ? [] : [`removed what the backup does not have: ${count(removed, "entry", "entries")}`];
    return {
      place: this.#job.place.root,
      checks: [...checks, ...this.#damageCheck()],
      warnings: [...this.#tree.warnings(writer.shortfalls), ...removals],
    };
  }

  /** Makes what has no content as it comes by, and asks for the content of files. */
  async *#contents(): AsyncGenerator<FileInProgress> {
    const groups = new HardLinkGroups();
    const begin = (file: FileInProgress): OpenTreeFile => this.#begin(file);
    for await (const placed of withTurns(placedEntries(this.#job), this.#job.signal)) {
      const { entry, name } = placed;
      if (entry.type === "directory") {
        this.#makeDirectory(placed);
        this.#job.onWritten(0, 1);
      } else if (groups.firstOf(entry) !== undefined) {
        this.#hasLinks = true;
      } else if (entry.type === "symlink") {
        this.#tree.makeSymlink(name, entry.link ?? Buffer.alloc(0), entry);
        this.#job.onWritten(0, 1);
      } else {
        const file = new FileInProgress(placed, this.#metadataOf(entry), begin);
        if (entry.chunks.length > 0) yield file;
        else {
          this.#finish(file);
          this.#job.onWritten(0, 1);
        }
      }
    }
  }

  #makeDirectory({ name, isParent }: PlacedEntry): void {
    const isNew = this.#tree.makeDirectory(name, !isParent);
    if (isNew && isParent) this.#made.add(name.toString("latin1"));
    if (!isNew && !isParent) this.#tree.sweep(name);
  }

  #begin({ name, entry }: FileInProgress): OpenTreeFile {
    this.#job.activity(entry.name.toString("utf8"));
    return this.#tree.beginFile(name, entry.size);
  }

  #metadataOf(entry: TreeEntry): EntryMetadata {
    const { mode, mtimeNs, attributes } = entry;
    return { mode, mtimeNs, attributes, ...this.#ownerOf(entry) };
  }

  #note({ file, bytes, isLast }: Written<FileInProgress>): void {
    if (isLast) {
      this.#finish(file);
      this.#front.advance(file.entry.name);
    }
    this.#job.onWritten(bytes, isLast ? 1 : 0);
  }

  #finish(file: FileInProgress): void {
    if (file.chunks.length === 0) file.open();
    if (file.opened !== undefined) this.#tree.finishFile(file.opened, file.metadata);
    else {
      this.#tree.adopt(file.name, file.metadata);
      this.#job.activity(file.name.toString("utf8"));
    }
    this.#files++;
    this.#bytes += file.size;
  }

  /**
   * The files, where they need no other look: in a private tree nobody touches one that was looked at when it was finished. What is linked
   * is looked at together; of what was not as it should be it is said what.
   */
  #filesAreSeen({ unlike }: Shortfalls): boolean {
    return !this.#hasLinks && unlike + this.#tree.shortfalls().unlike === 0;
  }

  /** Finishes and compares all but files while the writing goes on: at the end it would be work for one thread alone. */
  #compareBehind(): ReturnType<typeof compareTree> {
    const { signal } = this.#job;
    const seen = () => ({ entries: this.#files, bytes: this.#bytes });
    const compared = compareTree(this.#finishingBehind(), this.#tree, this.#made, signal, seen);
    compared.catch(() => undefined);
    return compared;
  }

  /** After all contents, because the first of a group may be written late. */
  async #linkAll(): Promise<void> {
    const groups = new HardLinkGroups();
    for await (const { entry, name } of withTurns(placedEntries(this.#job), this.#job.signal)) {
      const first = groups.firstOf(entry);
      if (first === undefined) continue;
      this.#tree.makeHardLink(name, this.#job.place.nameOf(first) ?? first);
      this.#job.onWritten(0, 1);
    }
  }

  async #removeExtras(): Promise<number> {
    const { opened, place, signal } = this.#job;
    let removed = 0;
    for (const extra of await findExtras(opened, place, signal))
      removed += await removeExtra(this.#tree, extra, signal);
    return removed;
  }

  /** The entries once more: a directory comes before what is in it, and is given when the index leaves it. */
  *#leaving(withoutFiles = false): Generator<PlacedEntry> {
    const open: PlacedEntry[] = [];
    for (const placed of placedEntries(this.#job, withoutFiles)) {
      for (let last = open.at(-1); last !== undefined && !contains(last.name, placed.name); last = open.at(-1)) {
        open.pop();
        yield last;
      }
      if (placed.entry.type === "directory") open.push(placed);
      else yield placed;
    }
    yield* open.toReversed();
  }

  async *#finishing(entries: Iterable<PlacedEntry> = this.#leaving()): AsyncGenerator<PlacedEntry> {
    for (const placed of entries) {
      // Whoever sets exact times has to get in.
      if (isClosedToUs(placed.entry)) await this.#tree.settle();
      yield this.#finished(placed);
    }
  }

  async *#finishingBehind(): AsyncGenerator<PlacedEntry> {
    const closed: PlacedEntry[] = [];
    for (const placed of this.#leaving(true)) {
      const isWritten = await this.#front.passes(placed.entry.name);
      // A hard link changes its directory, and is made after all contents.
      if (!isWritten || this.#hasLinks) return;
      if (isClosedToUs(placed.entry)) closed.push(placed);
      else yield this.#finished(placed);
    }
    // Links of files below them may have come by since.
    if ((await this.#front.passesAll()) && !this.#hasLinks) yield* this.#finishing(closed);
  }

  #finished(placed: PlacedEntry): PlacedEntry {
    const isOthers = placed.isParent && !this.#made.has(placed.name.toString("latin1"));
    if (placed.entry.type === "directory" && !isOthers) this.#tree.finishDirectory(placed.name, placed.entry);
    return placed;
  }

  #notAsWritten(detail: string): BackupctlError {
    const { opened, place } = this.#job;
    return new BackupctlError(
      "RESTORE_FAILED",
      `the target of source "${opened.source.name}" is not as it was written: ${detail}`,
      {
        hint: `${place.staged ? "Nothing was put in its place." : "The files are in place, but not to be relied on."} Look at the target's file system.`,
      },
    );
  }

  #damageCheck(): RestoreOutcome["checks"] {
    const names = [...this.#job.damaged].map((name) => Buffer.from(name, "latin1").toString("utf8"));
    if (names.length === 0) return [];
    const shown = `${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}`;
    return [{ name: "damaged entries", passed: false, detail: `${names.length} left out: ${shown}` }];
  }
}
