import * as fs from "node:fs";
import { BackupctlError } from "../../errors.ts";
import { hasAttributes } from "../extended-attributes.ts";
import { errnoOf } from "../files.ts";
import { isTemporaryName, temporaryName } from "../leavings.ts";
import { type BytePath, showPath } from "../walk.ts";
import { writeFully } from "../write.ts";
import { checkedName } from "./checked-name.ts";
import { membersOf, openToOwner } from "./closed-folders.ts";
import {
  type EntryMetadata,
  isFinished,
  metadataWriter,
  noShortfalls,
  type Shortfalls,
  shortfallLines,
} from "./entry-metadata.ts";
import { ExactTimes } from "./exact-times.ts";
import { folderInTheWay, shownBelow } from "./folders-in-the-way.ts";
import { type HeldDirectories, holdDirectories } from "./held-directories.ts";
import { refusedAt } from "./refused-at.ts";
import { removeMembers } from "./removal.ts";

export interface TreeTargetPolicy {
  /** Replace files and symlinks that are in the way. Without it they are `TARGET_NOT_EMPTY`. */
  readonly overwrite: boolean;
  /** Also remove a directory, with what is in it, where the backup has a file or symlink (`--delete`). */
  readonly removeDirectories?: boolean;
  /** Nobody looks below the root before all of it is done, and nothing is there: files get their own names at once. */
  readonly isPrivate?: boolean;
}

/** A file that is being written: under a temporary name beside its place, or under its own in a private tree. */
export interface OpenTreeFile {
  readonly name: Buffer;
  readonly size: number;
  readonly fd: number;
  /** Undefined: it has its own name. */
  readonly temporary: BytePath | undefined;
}

/**
 * Writes the entries of a tree below one root. All of it is synchronous and meant for worker threads; several targets may write below one root
 * at a time, as long as no two write the same name. Names are relative to the root and refused (`BACKUP_CORRUPTED`) if they could leave it.
 *
 * Order of effects: unless the tree is private, a file is written beside its place and takes it by rename, complete with owner, mode
 * and attributes; so every name is the old file or the new one at any time. Directories get their metadata last, by `finishDirectory`,
 * deepest first. Modification times are within 240 ns until `settle` makes them exact. Nothing is flushed to disk here.
 */
export interface TreeTarget {
  /**
   * Makes a directory, private until `finishDirectory`; one that is there already stays as it is, which gives `false`. Unless it is not
   * to be finished, one that its owner may not write to or search is opened to us until then.
   */
  makeDirectory(name: Buffer, isToBeFinished?: boolean): boolean;
  /** What is not written stays a hole. */
  beginFile(name: Buffer, size: number): OpenTreeFile;
  writeAt(file: OpenTreeFile, offset: number, bytes: Uint8Array): void;
  finishFile(file: OpenTreeFile, metadata: EntryMetadata): void;
  /** Leaves nothing of the file. */
  abandonFile(file: OpenTreeFile): void;
  makeSymlink(name: Buffer, link: Buffer, metadata: EntryMetadata): void;
  /** @param first a finished file of this tree */
  makeHardLink(name: Buffer, first: Buffer): void;
  finishDirectory(name: Buffer, metadata: EntryMetadata): void;
  /** Removes what a killed restore left in a directory that exists. Call it before anything is begun in it. */
  sweep(directory: Buffer): void;
  /** What is at a name now; `undefined`: nothing. */
  look(name: Buffer): TreeSight | undefined;
  /** Removes a file, symlink or empty directory. False if it is a directory that is not empty; true if it was gone. */
  remove(name: Buffer): boolean;
  /** Resolves when times of what is finished are made exact as fast as they come. */
  timesTaken(): Promise<void>;
  /** Resolves when the times are exact of all that was finished so far. Call it after the last `finishDirectory`, too. */
  settle(): Promise<void>;
  /** Abandons unfinished files, settles nothing. */
  close(): void;
  /** What another thread opens with `openSharedTree`, as long as this one is open. */
  share(): SharedTree;
  /** Another target below the same root has finished this file. */
  adopt(name: Buffer, metadata: EntryMetadata): void;
  shortfalls(): Shortfalls;
  /** What could not be given to the tree so far, by other targets too, one line each. */
  warnings(others?: Shortfalls): readonly string[];
}

/** A target's root as it was opened, for other threads that write below it: it stays the same whatever is renamed. */
export interface SharedTree extends Tree {
  readonly access: string;
}

interface Tree {
  readonly root: string;
  readonly policy: TreeTargetPolicy;
  /** Private, and what is made in it has no attributes but those it is given. */
  readonly bare: boolean;
}

export interface TreeSight {
  readonly stats: fs.BigIntStats;
  /** The text of a symlink. */
  readonly link: Buffer | undefined;
}

/** The root is a directory that exists, and no symlink leads to it. @throws `RESTORE_FAILED` if it can't be opened as one */
export function openTreeTarget(root: string, policy: TreeTargetPolicy): TreeTarget {
  try {
    return new WritableTree(
      { root, policy, bare: policy.isPrivate === true && !hasAttributes(root) },
      holdDirectories(root),
      new ExactTimes(root),
    );
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new BackupctlError("RESTORE_FAILED", `${root} can't be opened as a folder (${errnoOf(error)})`, {
      hint: "Give a folder that you may write to with --to PATH.",
      cause: error,
    });
  }
}

export function openSharedTree({ access, ...tree }: SharedTree): TreeTarget {
  return new WritableTree(tree, holdDirectories(access));
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = fs.constants;

interface Place {
  readonly path: BytePath;
  readonly parent: BytePath;
  readonly prefix: string;
  readonly access: Buffer;
}

class WritableTree implements TreeTarget {
  readonly #tree: Tree;
  readonly #policy: TreeTargetPolicy;
  readonly #held: HeldDirectories;
  readonly #shortfalls = noShortfalls();
  readonly #metadata: ReturnType<typeof metadataWriter>;
  /** With the end of what was written to each. */
  readonly #open = new Map<OpenTreeFile, number>();
  /** Undefined: the tree that shared itself sees to exact times. */
  readonly #times: ExactTimes | undefined;

  constructor(tree: Tree, held: HeldDirectories, times?: ExactTimes) {
    this.#tree = tree;
    this.#policy = tree.policy;
    this.#held = held;
    this.#metadata = metadataWriter(this.#shortfalls, tree.bare);
    this.#times = times;
  }

  makeDirectory(name: Buffer, isToBeFinished = true): boolean {
    const place = this.#placeOf(name);
    return this.#naming(place, () => this.#makeDirectoryAt(place, isToBeFinished));
  }

  #makeDirectoryAt(place: Place, isToBeFinished: boolean): boolean {
    try {
      fs.mkdirSync(place.access, 0o700);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      if (fs.lstatSync(place.access).isDirectory()) {
        if (isToBeFinished) openToOwner(place.access);
        return false;
      }
      this.#requireReplaceable(place);
      fs.unlinkSync(place.access);
      fs.mkdirSync(place.access, 0o700);
    }
    return true;
  }

  beginFile(name: Buffer, size: number): OpenTreeFile {
    const place = this.#placeOf(name);
    const temporary = this.#policy.isPrivate ? undefined : temporaryName();
    const fd = this.#naming(place, () => this.#create(place, temporary));
    const file: OpenTreeFile = { name, size, fd, temporary };
    this.#open.set(file, 0);
    return file;
  }

  writeAt(file: OpenTreeFile, offset: number, bytes: Uint8Array): void {
    writeFully(file.fd, bytes, offset);
    this.#open.set(file, Math.max(this.#open.get(file) ?? 0, offset + bytes.length));
  }

  finishFile(file: OpenTreeFile, metadata: EntryMetadata): void {
    try {
      if (this.#open.get(file) !== file.size) fs.ftruncateSync(file.fd, file.size);
      this.#metadata.applyToOpen(file.fd, metadata);
      if (this.#policy.isPrivate && !isFinished(file.fd, file.size, metadata)) this.#shortfalls.unlike++;
      const { temporary } = file;
      const place = this.#placeOf(file.name);
      if (temporary !== undefined) this.#naming(place, () => this.#moveIntoPlace(temporary, place));
      this.#times?.add(checkedName(file.name), metadata.mtimeNs);
      this.#open.delete(file);
      fs.closeSync(file.fd);
    } catch (error) {
      this.abandonFile(file);
      throw error;
    }
  }

  abandonFile(file: OpenTreeFile): void {
    if (!this.#open.delete(file)) return;
    fs.closeSync(file.fd);
    fs.rmSync(accessOf(this.#placeOf(file.name), file.temporary), { force: true });
  }

  makeSymlink(name: Buffer, link: Buffer, metadata: EntryMetadata): void {
    if (link.length === 0 || link.includes(0)) {
      throw new BackupctlError("BACKUP_CORRUPTED", `symlink ${name.toString("utf8")} has an impossible target`);
    }
    const place = this.#placeOf(name);
    this.#make(place, (access) => {
      fs.symlinkSync(link, access);
      this.#metadata.applyToSymlink(access, metadata);
    });
    this.#times?.add(place.path, metadata.mtimeNs);
  }

  makeHardLink(name: Buffer, first: Buffer): void {
    // link(2) does not follow a symlink in its last member, and the parents are ours.
    const existing = this.#placeOf(first).access;
    this.#make(this.#placeOf(name), (access) => fs.linkSync(existing, access));
  }

  finishDirectory(name: Buffer, metadata: EntryMetadata): void {
    const place = this.#placeOf(name);
    const fd = fs.openSync(place.access, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      this.#metadata.applyToOpen(fd, metadata);
    } finally {
      fs.closeSync(fd);
    }
    this.#times?.add(place.path, metadata.mtimeNs);
  }

  sweep(directory: Buffer): void {
    const prefix = this.#held.prefixOf(directory.length === 0 ? "" : checkedName(directory));
    for (const name of membersOf(prefix).filter((member) => isTemporaryName(member))) {
      const access = Buffer.from(`${prefix}${name}`, "latin1");
      if (!fs.lstatSync(access).isDirectory()) fs.unlinkSync(access);
    }
  }

  look(name: Buffer): TreeSight | undefined {
    const { access } = this.#placeOf(name);
    const stats = fs.lstatSync(access, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    return { stats, link: stats.isSymbolicLink() ? fs.readlinkSync(access, { encoding: "buffer" }) : undefined };
  }

  remove(name: Buffer): boolean {
    const place = this.#placeOf(name);
    return this.#naming(place, () => this.#removeAt(place));
  }

  #removeAt(place: Place): boolean {
    try {
      if (!fs.lstatSync(place.access).isDirectory()) fs.unlinkSync(place.access);
      else {
        this.#held.forget(place.path);
        fs.rmdirSync(place.access);
      }
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOTEMPTY" || errnoOf(error) === "EEXIST") return false;
      if (errnoOf(error) === "ENOENT") return true;
      throw error;
    }
  }

  async timesTaken(): Promise<void> {
    await this.#times?.room();
  }

  async settle(): Promise<void> {
    this.#shortfalls.times += (await this.#times?.settle()) ?? 0;
  }

  share(): SharedTree {
    return { ...this.#tree, access: this.#held.prefixOf("") };
  }

  adopt(name: Buffer, metadata: EntryMetadata): void {
    this.#times?.add(name.toString("latin1"), metadata.mtimeNs);
  }

  close(): void {
    for (const file of [...this.#open.keys()]) this.abandonFile(file);
    this.#times?.close();
    this.#held.close();
  }

  shortfalls(): Shortfalls {
    return this.#shortfalls;
  }

  warnings(others: Shortfalls = noShortfalls()): readonly string[] {
    return shortfallLines(this.#shortfalls, others);
  }

  #create(place: Place, temporary: BytePath | undefined): number {
    try {
      return fs.openSync(accessOf(place, temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    } catch (error) {
      // Somebody is in a tree that is ours.
      if (errnoOf(error) === "EEXIST") throw this.#isTaken(place);
      throw error;
    }
  }

  /** Makes something under a temporary name, then moves it into place; leaves nothing if either fails. */
  #make(place: Place, make: (access: Buffer) => void): void {
    const temporary = temporaryName();
    const access = accessOf(place, temporary);
    try {
      this.#naming(place, () => {
        make(access);
        this.#moveIntoPlace(temporary, place);
      });
    } catch (error) {
      fs.rmSync(access, { force: true });
      throw error;
    }
  }

  #moveIntoPlace(temporary: BytePath, place: Place): void {
    const from = accessOf(place, temporary);
    const there = fs.lstatSync(place.access, { throwIfNoEntry: false });
    if (there !== undefined) this.#requireReplaceable(place);
    if (there?.isDirectory()) this.#clearDirectory(place);
    fs.renameSync(from, place.access);
    // A rename between two names of one file does nothing and leaves both.
    if (there !== undefined) fs.rmSync(from, { force: true });
  }

  #requireReplaceable(place: Place): void {
    if (!this.#policy.overwrite) throw this.#isTaken(place);
    // /lib, /bin and the like are the machine's own layout: replacing such a link would take the system's programs away.
    const isLayout = this.#tree.root === "/" && place.parent === "" && fs.lstatSync(place.access).isSymbolicLink();
    if (isLayout) {
      throw new BackupctlError(
        "RESTORE_FAILED",
        `/${showPath(place.path)} is a symlink on this machine and something else in the backup`,
        {
          hint: "Restore elsewhere with --to PATH, and move the files where they belong here.",
        },
      );
    }
  }

  #isTaken(place: Place): BackupctlError {
    return new BackupctlError("TARGET_NOT_EMPTY", `${this.#shown(place)} already exists`, {
      hint: "Replace what is there with --overwrite, or restore elsewhere with --to PATH.",
    });
  }

  #shown({ path }: Place): string {
    return shownBelow(this.#tree.root, path);
  }

  /** What the system refuses tells of a descriptor only; the operator needs the name. */
  #naming<T>(place: Place, action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw refusedAt(this.#shown(place), error) ?? error;
    }
  }

  #clearDirectory(place: Place): void {
    this.#held.forget(place.path);
    if (this.#policy.removeDirectories) {
      removeMembers(`${this.#held.prefixOf(place.path)}`);
      this.#held.forget(place.path);
    }
    try {
      fs.rmdirSync(place.access);
    } catch (error) {
      if (errnoOf(error) !== "ENOTEMPTY" && errnoOf(error) !== "EEXIST") throw error;
      throw folderInTheWay(this.#shown(place));
    }
  }

  #placeOf(name: Buffer): Place {
    const path = checkedName(name);
    const cut = path.lastIndexOf("/");
    const parent = cut < 0 ? "" : path.slice(0, cut);
    const prefix = this.#held.prefixOf(parent);
    return { path, parent, prefix, access: Buffer.from(`${prefix}${path.slice(cut + 1)}`, "latin1") };
  }
}

function accessOf(place: Place, temporary: BytePath | undefined): Buffer {
  return temporary === undefined ? place.access : Buffer.from(`${place.prefix}${temporary}`, "latin1");
}
