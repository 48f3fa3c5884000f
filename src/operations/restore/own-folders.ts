import * as path from "node:path";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { realPlace } from "../../platform/files.ts";
import { withTurns } from "../../platform/turns.ts";
import { contains } from "../../platform/walk.ts";
import type { RestorePlan } from "../operations.ts";
import { type Session, storageDefinition } from "../session.ts";
import type { TreePlace } from "./place.ts";
import { placedEntries, placedFiles } from "./placed-entries.ts";
import type { ChosenEntries } from "./selection.ts";

type Refusal = RestorePlan["refusals"][number];

const ELSEWHERE = "Give another place with --to PATH: backupctl takes what lies there for its own.";

/** Where backupctl keeps its own on this host: what is restored to there would lie among the backups, and go with them. */
export interface OwnFolder {
  /** Without symlinks. */
  readonly path: string;
  readonly what: string;
}

/** The folders of the storages on this host, and the state directory. */
export async function ownFolders(session: Session): Promise<readonly OwnFolder[]> {
  const { storages, stateDir } = session.loaded.config;
  // Where this user may not even look nothing can be restored to, either.
  const state = await realPlace(stateDir).catch(() => path.resolve(stateDir));
  const folders: OwnFolder[] = [{ path: state, what: "the state directory" }];
  for (const { name, type } of storages) {
    const folder = await folderOf(session, name, type);
    if (folder !== undefined) folders.push({ path: folder, what: `the folder of storage "${name}"` });
  }
  return folders;
}

/** A storage that is not configured well enough to have one must not stand in the way of a restore from another. */
async function folderOf(session: Session, name: string, type: string): Promise<string | undefined> {
  const definition = storageDefinition(session, type);
  if (definition.isLocal !== true) return undefined;
  try {
    return await definition.folder?.(await session.loaded.resolveStorage(name));
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    return undefined;
  }
}

function isWithin(folder: string, place: string): boolean {
  const relative = path.relative(folder, place);
  return relative !== ".." && !relative.startsWith("../");
}

/** A stream's file, where the operator has chosen its place. A link there is replaced, wherever it leads. */
export async function refuseOwnFile(
  source: string,
  file: string,
  folders: readonly OwnFolder[],
): Promise<readonly Refusal[]> {
  const real = path.join(await realPlace(path.dirname(file)), path.basename(file));
  return folders.filter((own) => isWithin(own.path, real)).map((own) => writesInto(source, own));
}

/** @throws `USAGE` for a folder that a download can't be written to */
export async function requireNotOwn(session: Session, folder: string): Promise<void> {
  const real = await realPlace(folder);
  const own = (await ownFolders(session)).find(({ path: kept }) => isWithin(kept, real));
  if (own === undefined) return;
  throw new BackupctlError("USAGE", `${folder} lies in ${own.path}, ${own.what}`, { hint: ELSEWHERE });
}

interface TreeToPlace {
  readonly source: string;
  readonly place: TreePlace;
  readonly chosen: ChosenEntries;
  /** Not where the source came from, which it may lie in whatever is kept around it. */
  readonly isElsewhere: boolean;
  /** What `--delete` is to remove because the backup has it not, relative to the place's root; `undefined` without `--delete`. */
  readonly removed: readonly Buffer[] | undefined;
  readonly signal: AbortSignal;
}

/** A tree of which something would come to one, or one that would be removed for it. */
export async function refuseOwnFolder(tree: TreeToPlace, folders: readonly OwnFolder[]): Promise<readonly Refusal[]> {
  const { source, place, isElsewhere } = tree;
  for (const own of folders) {
    if (isElsewhere && isWithin(own.path, place.root)) return [writesInto(source, own)];
    if (!isWithin(place.root, own.path)) continue;
    const name = Buffer.from(path.relative(place.root, own.path), "utf8");
    if (isElsewhere && (await isReached(tree, name))) return [writesInto(source, own)];
    const isCovered = place.folders.some((folder) => isOrHolds(folder, name));
    if (isCovered && (await isRemoved(tree, name))) return [removes(source, own)];
  }
  return [];
}

function removes(source: string, { path: folder, what }: OwnFolder): Refusal {
  return {
    code: "USAGE",
    message: `--delete for source "${source}" would remove what lies in ${folder}, ${what}`,
    hint: "Leave out --delete, or have the source in the config exclude that folder.",
  };
}

function writesInto(source: string, { path: folder, what }: OwnFolder): Refusal {
  return {
    code: "USAGE",
    message: `source "${source}" would be restored into ${folder}, ${what}`,
    hint: ELSEWHERE,
  };
}

async function isReached({ place, chosen, signal }: TreeToPlace, own: Buffer): Promise<boolean> {
  for await (const { name } of withTurns(placedEntries({ chosen, place, damaged: new Set() }), signal)) {
    if (isOrHolds(own, name)) return true;
  }
  return false;
}

/** As something that the backup has not, or as a folder in the way of a file. */
async function isRemoved({ place, chosen, removed, signal }: TreeToPlace, own: Buffer): Promise<boolean> {
  if (removed === undefined) return false;
  if (removed.some((name) => isOrHolds(own, name))) return true;
  for await (const name of withTurns(placedFiles({ chosen, place, damaged: new Set() }), signal)) {
    if (isOrHolds(name, own)) return true;
  }
  return false;
}

function isOrHolds(folder: Buffer, name: Buffer): boolean {
  return folder.equals(name) || contains(folder, name);
}
