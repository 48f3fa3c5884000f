import { isBackupctlError } from "../../errors.ts";
import { findFolderInTheWay, folderInTheWay } from "../../platform/tree/folders-in-the-way.ts";
import { mergesNames } from "../../platform/tree/one-name.ts";
import type { RestorePlan } from "../operations.ts";
import { requireDistinctNames } from "./distinct-names.ts";
import type { TreePlace } from "./place.ts";
import { placedFiles, placedNames } from "./placed-entries.ts";
import type { ChosenEntries } from "./selection.ts";

type Refusal = RestorePlan["refusals"][number];

interface TreeToWrite {
  readonly chosen: ChosenEntries;
  readonly place: TreePlace;
  /** Folders in the way of files are removed. */
  readonly delete: boolean;
  readonly signal: AbortSignal;
}

/** What of a tree its place can't take: found when some of it is written, the target would be neither old nor new. */
export async function refusedNames(tree: TreeToWrite): Promise<readonly Refusal[]> {
  const refusals = [await refuseTwins(tree), await refuseFolder(tree)];
  return refusals.filter((refusal) => refusal !== undefined);
}

/** What is made anew is as the folder that it is made in. */
async function refuseTwins({ chosen, place, signal }: TreeToWrite): Promise<Refusal | undefined> {
  if (place.staged && !mergesNames(place.root)) return undefined;
  try {
    await requireDistinctNames(place.root, placedNames({ chosen, place, damaged: new Set() }), signal);
    return undefined;
  } catch (error) {
    if (!isBackupctlError(error, "RESTORE_FAILED")) throw error;
    const { message, hint = "" } = error;
    return { code: "RESTORE_FAILED", message, hint };
  }
}

async function refuseFolder(tree: TreeToWrite): Promise<Refusal | undefined> {
  const { chosen, place, signal } = tree;
  if (place.staged || tree.delete) return undefined;
  const files = placedFiles({ chosen, place, damaged: new Set() });
  const found = await findFolderInTheWay(place.root, files, signal);
  if (found === undefined) return undefined;
  const { message, hint = "" } = folderInTheWay(found);
  return { code: "TARGET_NOT_EMPTY", message, hint };
}
