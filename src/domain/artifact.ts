import { BackupctlError } from "../errors.ts";

/** What artifacts consist of: the entries of a file tree and the named ranges of a stream. */

/** True for a name that a file can have, and that leads to nowhere but into the folder where it is used. */
export function isFileName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
}

/** For every name of a backup that becomes a file's. @throws `BACKUP_CORRUPTED` */
export function requireFileName(name: string): string {
  if (isFileName(name)) return name;
  throw new BackupctlError(
    "BACKUP_CORRUPTED",
    `the backup has a part with an impossible name: ${JSON.stringify(name)}`,
  );
}

/** A named range of a stream artifact: one database, one table, the globals. */
export interface StreamEntry {
  readonly name: string;
  readonly type: string;
  readonly offset: number;
  readonly size: number;
  readonly [fact: string]: unknown;
}

export type NodeType = "file" | "directory" | "symlink";

export interface TreeNode {
  /** Relative to `/`: no leading or trailing slash. Raw bytes, as the file system has them. */
  readonly name: Buffer;
  readonly type: NodeType;
  /** Bytes of a regular file, else 0. */
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user?: string;
  readonly group?: string;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
  /** Raw bytes of a symlink's text. */
  readonly link?: Buffer;
  /** `device:inode` where the link count is above one. */
  readonly hardLink?: string;
  /** 512-byte blocks allocated: fewer than size needs means holes. */
  readonly blocks: number;
  /** When the stat was taken; an mtime or ctime within 2 s before it can't be trusted next time. */
  readonly statAtNs: bigint;
  /** Asked only for changed nodes. Whoever read the contents hands over what it found: the file is not opened again then. */
  readonly attributes?: (found?: FoundAttributes) => ExtendedAttributes | undefined;
}

/** By name, values base64; ACLs are the `system.posix_acl_*` attributes. */
export type ExtendedAttributes = Readonly<Record<string, string>>;

export type FoundAttributes =
  | { readonly attributes: ExtendedAttributes | undefined }
  | { /** They can't be read. */ readonly errno: string };
