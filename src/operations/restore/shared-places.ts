import { contains } from "../../platform/walk.ts";
import type { RestorePlan, RestoreRequest } from "../operations.ts";
import type { TreePlace } from "./place.ts";
import type { PreparedSource } from "./plan.ts";

type Refusal = RestorePlan["refusals"][number];

/**
 * Sources that a target gives one place, of which the one restored last would undo another that was told to be restored. Their own places are
 * apart, or one of them holds what the other has; with `--to` each gets a folder of its own.
 */
export function refuseShared(
  sources: readonly PreparedSource[],
  { target, delete: remove }: Pick<RestoreRequest, "target" | "delete">,
): readonly Refusal[] {
  if (target === undefined) return [];
  return sources.flatMap((source, i) =>
    sources.flatMap((other, j) => {
      if (i === j) return [];
      if (i < j && isSameFile(source, other)) return [together(source, other, "")];
      const isUndone = remove && source.place.shape === "tree" && isRemovedIn(source.place, other);
      return isUndone ? [together(source, other, `, where --delete for the first removes what the other brings`)] : [];
    }),
  );
}

function isSameFile({ place }: PreparedSource, { place: other }: PreparedSource): boolean {
  if (place.shape !== "stream" || other.shape !== "stream") return false;
  return place.file !== undefined && place.file === other.file;
}

function isRemovedIn({ folders, leavesOut }: TreePlace, { place: other }: PreparedSource): boolean {
  return namesOf(other).some(
    (name) =>
      folders.some((folder) => folder.equals(name) || contains(folder, name)) &&
      leavesOut?.(name, other.shape === "tree") !== true,
  );
}

/** Relative to `/`, which is the root of whatever goes to a target. */
function namesOf(place: PreparedSource["place"]): readonly Buffer[] {
  if (place.shape === "tree") return place.folders;
  return place.file === undefined ? [] : [Buffer.from(place.file.slice(1))];
}

function together({ plan }: PreparedSource, other: PreparedSource, why: string): Refusal {
  return {
    code: "USAGE",
    message: `the target gives the sources "${plan.name}" and "${other.plan.name}" one place, ${plan.place}${why}`,
    hint: "Give them places apart from each other in the config, or restore only one of them with --source.",
  };
}
