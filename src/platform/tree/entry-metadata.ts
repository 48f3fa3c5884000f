import * as fs from "node:fs";
import { BackupctlError } from "../../errors.ts";
import { type Attributes, writeAttributes } from "../extended-attributes.ts";
import { errnoOf } from "../files.ts";
import { localGroups, localUsers, type Owners } from "../names-of-owners.ts";

/** What a file, directory or symlink has besides its content. */
export interface EntryMetadata {
  /** Permission bits, set-id and sticky bits; a file type in it is ignored. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Names win over numbers where this system knows them: the numbers of another machine mean nothing here. */
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly mtimeNs: bigint;
  readonly attributes?: Attributes | undefined;
}

/** What a tree could not be given, counted; said once at the end. */
export interface Shortfalls {
  owners: number;
  attributes: number;
  times: number;
  /** Files that were not as they should be when they were looked at as soon as they were finished. */
  unlike: number;
}

export function noShortfalls(): Shortfalls {
  return { owners: 0, attributes: 0, times: 0, unlike: 0 };
}

/** One line each. What other targets below the same root fell short of counts too, but for times: those are seen to by one. */
export function shortfallLines(own: Shortfalls, others: Shortfalls): readonly string[] {
  const owners = own.owners + others.owners;
  const attributes = own.attributes + others.attributes;
  const { times } = own;
  return [
    ...(owners > 0 ? [`${owners} entries belong to the user who restored them: ${whyNotOwned()}`] : []),
    ...(attributes > 0 ? [`${attributes} extended attributes or ACLs could not be set`] : []),
    ...(times > 0 ? [`${times} modification times are exact to a microsecond only: python3 is needed for more`] : []),
  ];
}

function whyNotOwned(): string {
  return process.geteuid?.() === 0 ? "the file system there keeps no other owners" : "run as root to give them back";
}

interface MetadataWriter {
  /** For an open file or directory. Set-id bits survive: the mode comes after the owner. */
  readonly applyToOpen: (fd: number, metadata: EntryMetadata) => void;
  readonly applyToSymlink: (path: Buffer, metadata: EntryMetadata) => void;
}

const MODE_BITS = 0o7777;
/** Node sets and tells times to a quarter of a microsecond. */
const TIME_TOLERANCE_MS = 0.001;

/** Is an open file what it was made to be, to what Node's own calls can tell? */
export function isFinished(fd: number, size: number, { mode, mtimeNs }: EntryMetadata): boolean {
  const now = fs.fstatSync(fd);
  const off = Math.abs(now.mtimeMs - Number(mtimeNs) / 1e6);
  return now.size === size && (now.mode & MODE_BITS) === (mode & MODE_BITS) && off <= TIME_TOLERANCE_MS;
}

/** `bare`: nothing has attributes that it was not given, so that nobody need look for some to take away. */
export function metadataWriter(shortfalls: Shortfalls, bare: boolean): MetadataWriter {
  const owner = ownerOnThisSystem();
  const isRoot = process.geteuid?.() === 0;

  function changeOwner(now: fs.Stats, metadata: EntryMetadata, change: (uid: number, gid: number) => void): void {
    const { uid, gid } = owner(metadata);
    if (now.uid === uid && now.gid === gid) return;
    try {
      change(uid, gid);
    } catch (error) {
      const code = errnoOf(error);
      // Numbers beyond all systems Node refuses before the system can.
      const isImpossible = code === "ERR_OUT_OF_RANGE";
      if (isRoot && isImpossible) throw impossibleOwner(uid, gid, error);
      // For root too: some file systems know no owners, and some containers' root may not give any.
      if (code !== "EPERM" && code !== "EINVAL" && !isImpossible) throw error;
      shortfalls.owners++;
    }
  }

  return {
    applyToOpen(fd, metadata) {
      changeOwner(fs.fstatSync(fd), metadata, (uid, gid) => fs.fchownSync(fd, uid, gid));
      if (!bare || metadata.attributes !== undefined)
        shortfalls.attributes += writeAttributes(fd, metadata.attributes).length;
      fs.fchmodSync(fd, metadata.mode & MODE_BITS);
      const seconds = secondsOf(metadata.mtimeNs);
      fs.futimesSync(fd, seconds, seconds);
    },
    applyToSymlink(path, metadata) {
      changeOwner(fs.lstatSync(path), metadata, (uid, gid) => fs.lchownSync(path, uid, gid));
      const seconds = secondsOf(metadata.mtimeNs);
      fs.lutimesSync(path, seconds, seconds);
      shortfalls.attributes += Object.keys(metadata.attributes ?? {}).length;
    },
  };
}

function impossibleOwner(uid: number, gid: number, cause: unknown): BackupctlError {
  return new BackupctlError("RESTORE_FAILED", `the backup has an owner that no system can have: ${uid}:${gid}`, {
    hint: "Restore the other entries with --exclude, or run it as another user than root, which keeps no owners.",
    cause,
  });
}

/** Each name is looked up once, whoever is asked for it. */
export function ownerOnThisSystem(): (metadata: EntryMetadata) => { uid: number; gid: number } {
  let known: { readonly users: Owners; readonly groups: Owners } | undefined;
  return ({ user, group, uid, gid }) => {
    if (user === undefined && group === undefined) return { uid, gid };
    known ??= { users: localUsers(), groups: localGroups() };
    return {
      uid: (user === undefined ? undefined : known.users.idOf(user)) ?? uid,
      gid: (group === undefined ? undefined : known.groups.idOf(group)) ?? gid,
    };
  };
}

/** As text: a negative number, a time before 1970, would be taken for "now". */
function secondsOf(ns: bigint): string {
  return String(Number(ns) / 1e9);
}
